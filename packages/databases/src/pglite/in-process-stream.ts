/** Two ends of a connection inside this process, one of them with the manners of a net.Socket that clients expect. */
import { duplexPair, type Duplex } from 'node:stream';

/** What `pg` calls on the stream that it is given. */
type SocketLike = Duplex & {
  setNoDelay(): void;
  setKeepAlive(): void;
  connect(): void;
  ref(): void;
  unref(): void;
};

/** A client's end that is connected as soon as it asks, and the server's end of it. */
export function inProcessStream(): { client: Duplex; server: Duplex } {
  const [client, server] = duplexPair();
  const socket: SocketLike = Object.assign(client, {
    setNoDelay() {},
    setKeepAlive() {},
    ref() {},
    unref() {},
    // The caller begins to listen for the event only after the call.
    connect: () => queueMicrotask(() => client.emit('connect')),
  });
  return { client: socket, server };
}
