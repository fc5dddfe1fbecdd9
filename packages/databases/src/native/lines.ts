/** Cuts a stream of bytes into lines. A line longer than the limit is cut there and its rest dropped: memory has a bound. */
const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #limitBytes: number;
  #parts: Uint8Array[] = [];
  #sizeBytes = 0;

  constructor(options: { onLine: (line: string) => void; limitBytes?: number }) {
    this.#onLine = options.onLine;
    this.#limitBytes = options.limitBytes ?? 65_536;
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#take(chunk.subarray(from, at));
      this.#emit();
      from = at + 1;
    }
    this.#take(chunk.subarray(from));
  }

  /** The stream has ended: what is left is a line too. */
  end(): void {
    if (this.#sizeBytes > 0) this.#emit();
  }

  #take(part: Uint8Array): void {
    const taken = part.subarray(0, this.#limitBytes - this.#sizeBytes);
    if (taken.length === 0) return;
    // A copy: the stream may use its buffer again, and a small rest must not keep a large buffer alive.
    this.#parts.push(Uint8Array.from(taken));
    this.#sizeBytes += taken.length;
  }

  #emit(): void {
    const line = Buffer.concat(this.#parts, this.#sizeBytes).toString('utf8');
    this.#parts = [];
    this.#sizeBytes = 0;
    this.#onLine(line);
  }
}
