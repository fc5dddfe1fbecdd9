/**
 * A request's body, whole, in memory: signatures cover it, so nothing can be done before all of it is there. Bounded for each
 * request, for all together, and in time.
 */
import { assert, Deferred, type Clock } from '@rokka/kernel';
import type { IncomingMessage } from 'node:http';
import { Failure } from './failures.ts';
import type { GatewayLimits } from './limits.ts';

/** What is read and thrown away of a body that is too large, so that its sender comes to read the answer. */
const DISCARD_FACTOR = 8;

/** Bytes of bodies that are in memory now. */
export class BodyBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    assert(this.#used >= 0, 'more bytes given back than taken');
  }
}

export interface ReadBody extends Disposable {
  readonly bytes: Buffer;
}

/** The client went away before it had said all: there is nobody to answer. */
export class Gone extends Error {
  override name = 'Gone';
}

/** @throws Failure tooLarge, late, unavailable; Gone */
export async function readBody(
  incoming: IncomingMessage,
  options: { clock: Clock; budget: BodyBudget; limits: GatewayLimits },
): Promise<ReadBody> {
  const { clock, budget, limits } = options;
  const chunks: Buffer[] = [];
  const ended = new Deferred<void>();
  let [kept, seen] = [0, 0];
  let refusal: Failure | undefined;
  const refuse = (failure: Failure) => {
    refusal ??= failure;
    budget.give(kept);
    kept = chunks.length = 0;
  };
  const onData = (chunk: Buffer) => {
    seen += chunk.length;
    if (!refusal && seen > limits.bodyBytesMax) refuse(tooLarge(limits.bodyBytesMax));
    if (seen > limits.bodyBytesMax * DISCARD_FACTOR) return ended.resolve();
    if (refusal) return;
    if (!budget.take(chunk.length))
      return refuse(new Failure('unavailable', 'Too much is being sent at once. Try again.'));
    kept += chunk.length;
    chunks.push(chunk);
  };
  const cancel = clock.after(limits.bodyMs, () => {
    refuse(new Failure('late', 'The request was not sent completely in time.'));
    ended.resolve();
  });
  incoming.on('data', onData);
  incoming.once('end', () => ended.resolve());
  // An error keeps where it was made: too dear for the end of each request, which closes too.
  const onGone = () => {
    if (!incoming.readableEnded) ended.reject(new Gone());
  };
  incoming.once('close', onGone);
  incoming.once('error', onGone);
  try {
    await ended.promise;
    if (refusal) throw refusal;
    const bytes = kept;
    return { bytes: Buffer.concat(chunks), [Symbol.dispose]: () => budget.give(bytes) };
  } catch (error) {
    if (!refusal) budget.give(kept);
    throw error;
  } finally {
    cancel();
    incoming.off('data', onData);
  }
}

function tooLarge(limit: number): Failure {
  return new Failure('tooLarge', `The request is larger than ${limit} bytes.`);
}
