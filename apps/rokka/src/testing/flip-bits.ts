/** Damages a storage node's files as an ageing disk does: single bits, anywhere in its log and its pages. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { SeededRandom } from '@rokka/kernel';

const BITS = 8;

/** The node must not run. Its identity stays: whose files these are is not what is tested. */
export function flipBits(directory: string, random: SeededRandom): void {
  const files = fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(log|pages)$/.test(name))
    .map((name) => path.join(directory, name))
    .filter((file) => fs.statSync(file).size > 0);
  for (let i = 0; i < BITS; i++) flipBit(random.pick(files), random);
}

function flipBit(file: string, random: SeededRandom): void {
  const fd = fs.openSync(file, 'r+');
  try {
    const at = random.below(fs.fstatSync(fd).size);
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ (1 << random.below(8));
    fs.writeSync(fd, byte, 0, 1, at);
  } finally {
    fs.closeSync(fd);
  }
}
