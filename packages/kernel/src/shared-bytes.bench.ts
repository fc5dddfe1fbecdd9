/**
 * What a page costs to copy into memory that threads may share, as `set` does it and as `copyBytes` does, and to clear.
 *
 * node packages/kernel/src/shared-bytes.bench.ts
 */
import { PAGE_SIZE } from './brands.ts';
import { clearBytes, copyBytes } from './shared-bytes.ts';

const PAGES = 8_192;
const ROUNDS = 5;
/** Where the contents of a page lie in an answer, or in a record: rarely at a word. */
const CROOKED = 14;

const memory = new SharedArrayBuffer(PAGES * PAGE_SIZE);
const pages = Array.from({ length: PAGES }, (_, at) => new Uint8Array(memory, at * PAGE_SIZE, PAGE_SIZE));
const source = new Uint8Array(2 * PAGE_SIZE).fill(7);
const straight = source.subarray(0, PAGE_SIZE);
const crooked = source.subarray(CROOKED, CROOKED + PAGE_SIZE);

function print(name: string, work: (page: Uint8Array) => void): void {
  const tookUs = Array.from({ length: ROUNDS }, () => {
    const startMs = performance.now();
    for (const page of pages) work(page);
    return ((performance.now() - startMs) * 1_000) / PAGES;
  });
  const median = tookUs.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  console.log(`${name}: ${median.toFixed(2)} µs a page`);
}

print('set, both ends alike to a word', (page) => page.set(straight));
print('set, not alike', (page) => page.set(crooked));
print('copyBytes, alike', (page) => copyBytes(page, straight));
print('copyBytes, not alike', (page) => copyBytes(page, crooked));
print('fill', (page) => page.fill(0));
print('clearBytes', (page) => clearBytes(page));
