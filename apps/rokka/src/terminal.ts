/** What a person sees: lines with a mark, one line of progress that replaces itself on a terminal, plain tables. */
import type { WriteStream } from 'node:tty';

type Output = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;

export class Terminal {
  readonly #out: Output;
  #progress = false;

  constructor(out: Output = process.stdout) {
    this.#out = out;
  }

  line(text = ''): void {
    this.#clear();
    this.#out.write(`${text}\n`);
  }

  /** Shown until the next line or progress; without a terminal each text is a line of its own. */
  progress(text: string): void {
    if (!this.#out.isTTY) {
      this.#out.write(`${text}\n`);
      return;
    }
    this.#clear();
    this.#out.write(text.slice(0, (this.#out.columns ?? 80) - 1));
    this.#progress = true;
  }

  /** Clears the screen, for `--watch`. */
  home(): void {
    if (this.#out.isTTY) this.#out.write('\u001b[H\u001b[2J');
  }

  #clear(): void {
    if (this.#progress) this.#out.write('\r\u001b[K');
    this.#progress = false;
  }
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  const numeric = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
