/**
 * A client's messages in their order, taken out in batches. A batch ends with a message that the client expects an answer
 * to (Query, Sync, Flush, FunctionCall), or at a size where waiting for such a message would cost too much memory: the
 * backend keeps the place in a pipeline that comes in parts.
 */
import { FromClient, message, zeroTerminated } from './wire-messages.ts';

const BATCH_BYTES_MAX = 512 * 1024;
const ENDS_BATCH: ReadonlySet<number> = new Set([
  FromClient.query,
  FromClient.sync,
  FromClient.flush,
  FromClient.functionCall,
]);
const COPY: ReadonlySet<number> = new Set([FromClient.copyData, FromClient.copyDone, FromClient.copyFail]);

export class InputQueue {
  #messages: Buffer[] = [];
  #head = 0;
  #bytes = 0;
  #ends = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get hasBatch(): boolean {
    return this.#ends > 0 || this.#bytes >= BATCH_BYTES_MAX;
  }

  /** The Parse message, where the next batch is a Parse and a Sync and nothing else. */
  peekPrepare(): Buffer | undefined {
    const [parse, sync] = this.#messages.slice(this.#head, this.#head + 2);
    return parse?.[0] === FromClient.parse && sync?.[0] === FromClient.sync ? parse : undefined;
  }

  push(one: Buffer): void {
    this.#messages.push(one);
    this.#count(one, 1);
  }

  /** COPY data outside of a COPY is what is left of one that failed: it is dropped, as a server does. */
  takeBatch(): Buffer[] {
    const batch: Buffer[] = [];
    let bytes = 0;
    while (this.#head < this.#messages.length && bytes < BATCH_BYTES_MAX) {
      const one = this.#take();
      bytes += one.length;
      if (!COPY.has(one[0])) batch.push(one);
      if (ENDS_BATCH.has(one[0])) break;
    }
    return batch;
  }

  /** What `takeBatch` gave last is to be taken again. */
  putBack(batch: readonly Buffer[]): void {
    this.#messages = [...batch, ...this.#messages.slice(this.#head)];
    this.#head = 0;
    for (const one of batch) this.#count(one, 1);
  }

  /**
   * The next message while the backend reads COPY data; `ends` where it expects no more after it. Sync and Flush mean
   * nothing there. Anything else ends the COPY and stays: fed to the backend as it is, it would not have been translated.
   */
  takeCopy(): { message: Buffer; ends: boolean } | undefined {
    for (;;) {
      const next = this.#messages[this.#head];
      if (!next) return undefined;
      const [type] = next;
      if (COPY.has(type)) return { message: this.#take(), ends: type !== FromClient.copyData };
      if (type !== FromClient.sync && type !== FromClient.flush) {
        const why = zeroTerminated('unexpected message during COPY from stdin');
        return { message: message(FromClient.copyFail, why), ends: true };
      }
      this.#take();
    }
  }

  #take(): Buffer {
    const one = this.#messages[this.#head++];
    this.#count(one, -1);
    if (this.#head > 64 && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    return one;
  }

  #count(one: Buffer, sign: 1 | -1): void {
    this.#bytes += sign * one.length;
    if (ENDS_BATCH.has(one[0])) this.#ends += sign;
  }
}
