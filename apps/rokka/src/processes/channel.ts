/**
 * A child's side of the channel to its supervisor. The child ends when it is told to stop, or when the channel closes
 * because the supervisor died: nothing that Rokka starts outlives it.
 */
import { Deferred, describeError, isCoded } from '@rokka/kernel';
import type { ChildMessage, ParentMessage } from '../child.ts';

export interface ParentChannel {
  send(message: ChildMessage): void;
  /** Resolves when the child is to end. */
  readonly stopped: Promise<void>;
}

/** Runs a child's work: `work` resolves to the function that answers status questions, once it is ready. */
export async function runChild(options: {
  work(channel: ParentChannel): Promise<{ status(): unknown; detail?: unknown } & AsyncDisposable>;
  /** Errors after which starting again would be wrong. */
  isFinal(code: string): boolean;
}): Promise<void> {
  const stopped = new Deferred<void>();
  let status: (() => unknown) | undefined;
  const channel: ParentChannel = {
    send: (message) => void (process.connected && process.send?.(message, undefined, {}, () => {})),
    stopped: stopped.promise,
  };
  process.on('message', (message: ParentMessage) => {
    if (message.kind === 'stop') stopped.resolve();
    else channel.send({ kind: 'status', id: message.id, status: status?.() });
  });
  process.on('disconnect', () => stopped.resolve());
  // A Ctrl-C in a terminal reaches the whole process group; the supervisor decides the order of ending.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => stopped.resolve());
  const fail = (error: unknown) => {
    const code = isCoded(error) ? error.code : 'ROKKA_UNEXPECTED';
    const message = isCoded(error) ? error.message : describeError(error);
    const failed: ChildMessage = { kind: 'failed', code, message, final: options.isFinal(code) };
    if (!isCoded(error) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    const end = () => process.exit(1);
    if (process.connected && process.send) process.send(failed, undefined, {}, end);
    else end();
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    await using running = await options.work(channel);
    status = () => running.status();
    channel.send({ kind: 'ready', detail: running.detail });
    await stopped.promise;
  } catch (error) {
    return fail(error);
  }
  process.exit(0);
}
