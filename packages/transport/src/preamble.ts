/**
 * The greeting: eight bytes that each side sends as soon as it is connected, before any frame. Whoever says something
 * else (an HTTP client, another release) is found out by the first wrong byte, before a length is believed.
 */
import { transportErrors } from './errors.ts';

const NAME = 'ROKKA ';
const VERSION = '1';
/** Text with a line end, so that a person who connects by hand sees what is there. */
export const PREAMBLE: Uint8Array = Buffer.from(`${NAME}${VERSION}\n`, 'latin1');

export class PreambleReader {
  readonly #peer: string;
  readonly #seen = Buffer.alloc(PREAMBLE.length);
  #length = 0;

  constructor(peer: string) {
    this.#peer = peer;
  }

  /**
   * Takes the next bytes of the connection. Answers what follows the greeting, or undefined while it is incomplete.
   *
   * @throws TRANSPORT_NOT_ROKKA, TRANSPORT_WRONG_VERSION
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    const from = this.#length;
    const count = Math.min(PREAMBLE.length - from, chunk.length);
    this.#seen.set(chunk.subarray(0, count), from);
    this.#length += count;
    for (let at = from; at < this.#length; at++) {
      if (this.#seen[at] !== PREAMBLE[at]) this.#refuse(at);
    }
    return this.#length === PREAMBLE.length ? chunk.subarray(count) : undefined;
  }

  #refuse(at: number): never {
    const text = JSON.stringify(this.#seen.toString('latin1', 0, this.#length));
    if (at < NAME.length) throw transportErrors.TRANSPORT_NOT_ROKKA([this.#peer, text]);
    throw transportErrors.TRANSPORT_WRONG_VERSION([this.#peer, text, JSON.stringify(VERSION)]);
  }
}
