/**
 * A child's side of the channel to its supervisor. The child ends when it is told to stop, or when the channel closes
 * because the supervisor died: nothing that Rokka starts outlives it.
 */
import { Deferred, describeError, isCoded } from '@rokka/kernel';
import type { ChildMessage, Finality, ParentMessage } from '../child.ts';
import { keepCompiledCode } from '../compile-cache.ts';
import { rokkaErrors } from '../errors.ts';
import type { Duties } from './engine.ts';

export interface ParentChannel {
  send(message: ChildMessage): void;
  /** Resolves when a child that waits for it is to begin; `waited`: its code had been loaded for a while then. */
  readonly begun: Promise<{ waited: boolean; argument?: unknown }>;
  /** Resolves when the child is to end. */
  readonly stopped: Promise<void>;
}

/** What a child is once it is ready. */
export interface RunningChild extends AsyncDisposable {
  /** May be a promise of it. */
  status(): unknown;
  readonly detail?: unknown;
  readonly duties?: Duties;
}

/** Runs a child's work: `work` resolves when it is ready. */
export async function runChild(options: {
  work(channel: ParentChannel): Promise<RunningChild>;
  /** After which errors starting again would be wrong. */
  finality(code: string): Finality;
}): Promise<void> {
  const begun = new Deferred<{ waited: boolean; argument?: unknown }>();
  const stopped = new Deferred<void>();
  let running: RunningChild | undefined;
  const channel: ParentChannel = {
    send: (message) => void (process.connected && process.send?.(message, undefined, {}, () => {})),
    begun: begun.promise,
    stopped: stopped.promise,
  };
  process.on('message', (message: ParentMessage) => {
    if (message.kind === 'stop') stopped.resolve();
    else if (message.kind === 'begin') begun.resolve(message);
    else if (message.kind === 'ask') void answer(channel, running, message);
    else void tellStatus(channel, running, message.id);
  });
  // The supervisor has gone. A crash at any moment is what we are made for, and the next supervisor's children must not
  // meet this one: it may be late with its goodbye.
  process.on('disconnect', () => process.exit(1));
  if (process.send && !process.connected) process.exit(1);
  // A service manager tells every process of ours to end; the supervisor decides in which order.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const fail = (error: unknown) => {
    // A start that was cut short, as it was told.
    if (isCoded(error, 'ROKKA_STOPPED')) process.exit(0);
    const code = isCoded(error) ? error.code : 'ROKKA_UNEXPECTED';
    const message = isCoded(error) ? error.message : describeError(error);
    const failed: ChildMessage = { kind: 'failed', code, message, final: options.finality(code) };
    if (!isCoded(error) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    const end = () => process.exit(1);
    if (process.connected && process.send) process.send(failed, undefined, {}, end);
    else end();
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    await using made = await options.work(channel);
    running = made;
    // Before others are told: they may start with it.
    keepCompiledCode();
    channel.send({ kind: 'ready', detail: made.detail });
    await stopped.promise;
  } catch (error) {
    return fail(error);
  }
  process.exit(0);
}

async function tellStatus(
  channel: ParentChannel,
  running: RunningChild | undefined,
  id: number,
): Promise<void> {
  channel.send({ kind: 'status', id, status: await running?.status() });
}

async function answer(
  channel: ParentChannel,
  running: RunningChild | undefined,
  { id, what, argument }: { id: number; what: string; argument?: unknown },
): Promise<void> {
  try {
    const duty = running?.duties?.[what];
    if (!duty) throw rokkaErrors.ROKKA_CHILD_CANNOT([what]);
    channel.send({ kind: 'answer', id, value: await duty(argument) });
  } catch (error) {
    if (!isCoded(error)) throw error;
    channel.send({ kind: 'refusal', id, code: error.code, message: error.message });
  }
}
