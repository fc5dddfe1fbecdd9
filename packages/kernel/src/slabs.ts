/** Pieces of memory of one size that are used again: a new one for each message keeps the collector busy. */
export class Slabs {
  readonly bytes: number;
  readonly #kept: number;
  readonly #free: Buffer[] = [];

  /** @param options.kept how many are kept while nobody uses them */
  constructor(options: { bytes: number; kept: number }) {
    this.bytes = options.bytes;
    this.#kept = options.kept;
  }

  /** What is in it is left over from before. Whoever does not give it back leaves it to the collector. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  give(slab: Buffer): void {
    if (this.#free.length < this.#kept) this.#free.push(slab);
  }
}
