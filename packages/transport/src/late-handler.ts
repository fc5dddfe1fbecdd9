/**
 * `connect` wants its handler before the connection is there; whoever makes a handler for each connection, as a listener
 * does, goes through this: the handler is made on the first use, by whichever side of `connect` comes first.
 */
import { isCoded } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Network } from './connection.ts';

/** @throws what Network.connect throws, and what `handler` throws: the connection is closed then */
export async function connectWith(
  network: Network,
  address: string,
  options: { timeoutMs: number; handler: (connection: Connection) => ConnectionHandler },
): Promise<Connection> {
  let refused = false;
  let made: ConnectionHandler | undefined;
  const handlerOf = (connection: Connection) => (made ??= options.handler(connection));
  const connection = await network.connect(
    address,
    {
      onFrame: (connection, frame) => handlerOf(connection).onFrame(connection, frame),
      onBatchEnd: (connection) => handlerOf(connection).onBatchEnd?.(connection),
      // Nothing comes before its request, and nobody asks before there is a handler.
      memoryFor: (frame) => made?.memoryFor?.(frame),
      onDrain: (connection) => handlerOf(connection).onDrain?.(connection),
      onClose: (connection, reason) => {
        if (!refused) handlerOf(connection).onClose(connection, reason);
      },
    },
    { timeoutMs: options.timeoutMs },
  );
  try {
    handlerOf(connection);
    return connection;
  } catch (error) {
    refused = true;
    connection.close(isCoded(error) ? error : undefined);
    throw error;
  }
}
