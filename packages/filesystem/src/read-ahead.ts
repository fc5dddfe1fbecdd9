/**
 * What the readers of one file will want next. Pure.
 *
 * Who reads on where he ended is expected to go on, also where several read for him and their pieces come a little out of order, as
 * PostgreSQL's do. What follows is named before it is asked for, so that it is on its way while what came before is looked at: the more,
 * the longer it goes on. A read elsewhere changes nothing until another one goes on from there.
 */
import type { ByteRange } from './extents.ts';

/** As Linux begins with. */
const WINDOW_MIN_BYTES = 128 * 1024;
/** Some requests to each of the nodes that can answer. */
const WINDOW_MAX_BYTES = 2 * 1024 * 1024;
/** More is named when so much of the window is left. */
const LEFT = 1 / 4;
/** So many pieces may be missing between one and the next, or come late. */
const GAP_PIECES = 4;

export class ReadAhead {
  /** Up to where the readers have come, and up to where it was named what they will want. */
  #end = 0;
  #named = 0;
  #window = WINDOW_MIN_BYTES;
  /** Where the last read ended that was elsewhere. */
  #elsewhere: number | undefined;

  /** The bytes to fetch now; nothing where enough was named before, as when a read is made again. */
  next(read: ByteRange): ByteRange | undefined {
    if (!goesOn(this.#end, read)) {
      if (this.#elsewhere === undefined || !goesOn(this.#elsewhere, read)) {
        this.#elsewhere = read.offset + read.length;
        return undefined;
      }
      this.#end = this.#named = this.#elsewhere;
      this.#window = WINDOW_MIN_BYTES;
      this.#elsewhere = undefined;
    }
    this.#end = Math.max(this.#end, read.offset + read.length);
    if (this.#named - this.#end > this.#window * LEFT) return undefined;
    const offset = Math.max(this.#named, this.#end);
    this.#named = this.#end + this.#window;
    this.#window = Math.min(this.#window * 2, WINDOW_MAX_BYTES);
    return { offset, length: this.#named - offset };
  }
}

function goesOn(end: number, { offset, length }: ByteRange): boolean {
  return Math.abs(offset - end) <= GAP_PIECES * length;
}
