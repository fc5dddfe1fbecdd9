/** A small file that is replaced as a whole: passwords, identities, what a start must find again. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Whole or not at all, for its owner only, and on the disk when it returns. @throws what the system says */
export function writeDurably(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600, flush: true });
  fs.renameSync(`${file}.new`, file);
  syncDirectoryOf(file);
}

/** Not there any more, and so after a power cut. */
export function removeDurably(file: string): void {
  if (!fs.existsSync(file)) return;
  fs.rmSync(file, { force: true });
  syncDirectoryOf(file);
}

function syncDirectoryOf(file: string): void {
  const directory = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}
