import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, systemClock } from '@rokka/kernel';
import { prefetchRedo, type DatabaseFiles } from './redo-prefetch.ts';
import { SEGMENT_BYTES, WalWriter } from './testing/wal-writer.ts';

const REDO = 3 * SEGMENT_BYTES + 40;
const IN_PRODUCTION = 6;
const SHUT_DOWN = 1;

const heap = (block: number, relation = 16_384) => ({
  reference: { tablespace: 1663, database: 5, relation, fork: 0, block },
});

class Files implements DatabaseFiles {
  readonly contents = new Map<string, Buffer>();
  readonly fetched: string[] = [];
  failure: CodedError | undefined;

  constructor(state: number, writer: WalWriter, timeline = 1) {
    const control = Buffer.alloc(8192);
    control.writeUInt32LE(state, 16);
    control.writeBigUInt64LE(BigInt(REDO), 40);
    this.contents.set('global/pg_control', control);
    this.log(writer, timeline);
  }

  log(writer: WalWriter, timeline: number): void {
    const log = Buffer.concat(writer.pages());
    for (let at = 0; at < log.length; at += SEGMENT_BYTES) {
      const segment = Buffer.alloc(SEGMENT_BYTES);
      log.subarray(at, at + SEGMENT_BYTES).copy(segment);
      const number = (3 + at / SEGMENT_BYTES).toString(16).toUpperCase().padStart(16, '0');
      this.contents.set(`pg_wal/${String(timeline).padStart(8, '0')}${number}`, segment);
    }
  }

  async names(directory: string): Promise<string[]> {
    return [...this.contents.keys()]
      .filter((name) => name.startsWith(`${directory}/`))
      .map((name) => name.slice(7));
  }

  async read(file: string, offset: number, into: Buffer): Promise<number | undefined> {
    return this.contents.get(file)?.copy(into, 0, offset, offset + into.length);
  }

  async fetch(file: string, blocks: readonly number[]): Promise<void> {
    if (this.failure) throw this.failure;
    this.fetched.push(...blocks.map((block) => `${file}:${block}`));
  }
}

function written(blocks: readonly number[], dataBytes = 100): WalWriter {
  const writer = new WalWriter(REDO, 18);
  for (const block of blocks) writer.add({ blocks: [heap(block)], dataBytes });
  return writer;
}

const run = (files: DatabaseFiles, blocksMax = 1_000) =>
  prefetchRedo(files, { major: 18, blocksMax, clock: systemClock, signal: AbortSignal.timeout(10_000) });

test('each block once, in the file that it lies in', async () => {
  const files = new Files(IN_PRODUCTION, written([7, 7, 131_072 + 9, 8, 7]));
  const { blocks, logBytes } = await run(files);
  assert.deepEqual([blocks, logBytes], [3, 8192]);
  assert.deepEqual(files.fetched, ['base/5/16384:7', 'base/5/16384:8', 'base/5/16384.1:9']);
});

test('over several segments, and no more than there is room for', async () => {
  const numbers = Array.from({ length: 3_000 }, (_, n) => n);
  const all = new Files(IN_PRODUCTION, written(numbers, 900));
  assert.equal((await run(all, 1e6)).blocks, 3_000);
  assert.equal(all.fetched.length, 3_000);
  const some = new Files(IN_PRODUCTION, written(numbers, 900));
  const { blocks } = await run(some, 100);
  assert.ok(blocks >= 100 && blocks < 700, `${blocks}: it stops after the step that fills it`);
});

test('of several timelines the newest', async () => {
  const files = new Files(IN_PRODUCTION, written([1]), 1);
  files.log(written([2]), 2);
  await run(files);
  assert.deepEqual(files.fetched, ['base/5/16384:2']);
});

test('nothing after a clean shutdown, and nothing where there is no database', async () => {
  const nothing = { blocks: 0, logBytes: 0 };
  assert.deepEqual(await run(new Files(SHUT_DOWN, written([1]))), nothing);
  const empty = new Files(SHUT_DOWN, written([1]));
  empty.contents.clear();
  assert.deepEqual(await run(empty), nothing);
});

test('what cannot be fetched is an error for the caller, and for nobody else', async () => {
  const files = new Files(
    IN_PRODUCTION,
    written(
      Array.from({ length: 3_000 }, (_, n) => n),
      900,
    ),
  );
  files.failure = new CodedError('VOLUME_FENCED', 'taken over');
  await assert.rejects(run(files, 1e6), files.failure);
});
