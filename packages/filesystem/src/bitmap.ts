/** A growing row of bits, with the two questions an allocator asks: where is a clear bit, and how many follow it. */

export class Bitmap {
  #words = new Uint32Array(64);

  /** Whether the bit is set; bits that were never touched are clear. */
  has(bit: number): boolean {
    const word = Math.floor(bit / 32);
    return word < this.#words.length && ((this.#words[word] >>> (bit % 32)) & 1) === 1;
  }

  /** Sets or clears bits [from, from + count). */
  fill(from: number, count: number, value: boolean): void {
    const end = from + count;
    this.#room(end);
    let bit = from;
    while (bit < end) {
      if (bit % 32 === 0 && end - bit >= 32) {
        const words = Math.floor((end - bit) / 32);
        this.#words.fill(value ? 0xffffffff : 0, bit / 32, bit / 32 + words);
        bit += words * 32;
        continue;
      }
      const word = Math.floor(bit / 32);
      const mask = 1 << (bit % 32);
      this.#words[word] = value ? this.#words[word] | mask : this.#words[word] & ~mask;
      bit += 1;
    }
  }

  /** The first clear bit in [from, end), or `end`. */
  nextClear(from: number, end: number): number {
    return this.#next(from, end, 0xffffffff);
  }

  /** How many bits are clear from `from` on, before `end` and at most `most`. */
  clearCount(from: number, end: number, most: number): number {
    const limit = Math.min(end, from + most);
    return Math.max(0, this.#next(from, limit, 0) - from);
  }

  /** The first bit in [from, end) that differs from those of a word that is all `skip`. */
  #next(from: number, end: number, skip: number): number {
    let bit = from;
    while (bit < end) {
      const word = Math.floor(bit / 32);
      // Differing bits are those set in `rest`; beyond the array everything is clear.
      const value = word < this.#words.length ? this.#words[word] : 0;
      const rest = ((value ^ skip) >>> (bit % 32)) << (bit % 32);
      if (rest !== 0) return Math.min(end, word * 32 + 31 - Math.clz32(rest & -rest));
      bit = (word + 1) * 32;
    }
    return Math.max(from, end);
  }

  #room(bits: number): void {
    const need = Math.ceil(bits / 32);
    if (need <= this.#words.length) return;
    const words = new Uint32Array(Math.max(need, this.#words.length * 2));
    words.set(this.#words);
    this.#words = words;
  }
}
