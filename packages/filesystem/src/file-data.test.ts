import assert from 'node:assert/strict';
import test from 'node:test';
import { PAGE_SIZE, SeededRandom, type PageNumber } from '@rokka/kernel';
import { MemoryPageStore, NotReady } from '@rokka/volume';
import { checkFilesystem } from './checker.ts';
import type { FileSystem } from './filesystem.ts';
import { ROOT_INO, type Ino } from './layout.ts';
import {
  assertBytes,
  contentOf,
  errno,
  makeFile,
  makeFolder,
  makeScratch,
  OWNER,
  pageOf,
  remount,
} from './testing/scratch.ts';

const MIB = 1 << 20;

/** Where each block lies. */
function pagesOf(fs: FileSystem, ino: Ino): PageNumber[] {
  return fs
    .pagesOf(ino)
    .flatMap(({ page, count }) => Array.from({ length: count }, (_, i) => (page + i) as PageNumber));
}

function lacking(operation: () => unknown): NotReady {
  try {
    operation();
  } catch (error) {
    if (error instanceof NotReady) return error;
    throw error;
  }
  throw new Error('it lacked nothing');
}

void test('a page that is written again is one range and no metadata', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f', pageOf(1, 3));
  fs.write(ino, PAGE_SIZE, pageOf(2));
  const [, page] = pagesOf(fs, ino);
  const last = store.history.at(-1) ?? [];
  assert.deepEqual(
    last.map((write) => ({
      page: write.page,
      offset: write.offset,
      length: write.bytes.length,
      init: write.init,
    })),
    [{ page, offset: 0, length: PAGE_SIZE, init: false }],
  );
});

void test('who reads on where he ended is expected to go on: what follows is named as well', async () => {
  const { fs, store } = makeScratch();
  const blocks = 60;
  const ino = makeFile(fs, 'f', pageOf(1, blocks));
  const pages = pagesOf(fs, ino);
  const into = new Uint8Array(PAGE_SIZE);
  store.evict(pages);
  const elsewhere = lacking(() => fs.read(ino, 40 * PAGE_SIZE, into));
  assert.deepEqual([elsewhere.pages, elsewhere.ahead], [[pages[40]], []]);
  const on = lacking(() => fs.read(ino, 0, into));
  assert.deepEqual([on.pages, on.ahead], [[pages[0]], pages.slice(1, 17)]);
  await store.prepare(new NotReady({ pages: [...on.pages, ...on.ahead] }));
  // Those who find what they read are looked after as well.
  const named: number[] = [];
  Object.assign(store, { willNeed: (more: readonly PageNumber[]) => named.push(...more) });
  for (let at = 0; at < 17; at++) assert.equal(fs.read(ino, at * PAGE_SIZE, into), PAGE_SIZE);
  assert.deepEqual(named, pages.slice(17, 17 + named.length));
  assert.ok(named.length >= 16);
  await store.prepare(new NotReady({ pages }));
  store.evict(pages.slice(17 + named.length));
  const last = named.length;
  for (let at = 17; at < 17 + last; at++) fs.read(ino, at * PAGE_SIZE, into);
  assert.equal(named.at(-1), pages.at(-1), 'no further than the file');
});

void test('what is missing is asked for at once, and nothing has changed until then', async () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f', pageOf(1, 10));
  const pages = pagesOf(fs, ino);
  store.evict(pages);
  assert.deepEqual(lacking(() => fs.read(ino, 100, new Uint8Array(4 * PAGE_SIZE))).pages, pages.slice(0, 5));
  // The edges are needed; what is written as a whole is not.
  const write = () => fs.write(ino, PAGE_SIZE + 1, new Uint8Array(3 * PAGE_SIZE).fill(7));
  const missing = lacking(write);
  assert.deepEqual(missing.pages, [pages[1], pages[4]]);
  await store.prepare(missing);
  write();
  await store.prepare(new NotReady({ pages }));
  const expected = pageOf(1, 10).fill(7, PAGE_SIZE + 1, 4 * PAGE_SIZE + 1);
  assertBytes(contentOf(fs, ino), expected);
});

void test('a page that is written whole need not be read first', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f', pageOf(1));
  store.evict(pagesOf(fs, ino));
  fs.write(ino, 0, pageOf(2));
  assert.equal(store.history.at(-1)?.[0].init, true);
  assertBytes(contentOf(fs, ino), pageOf(2));
});

void test('pages that are used again never show what they held', () => {
  const { fs } = makeScratch({ pagesPerGroup: 16, pagesMax: 16 });
  const old = makeFile(fs, 'old', pageOf(0xff, 8));
  assert.equal(fs.statistics().blocksFree, 0);
  assert.throws(() => fs.write(makeFile(fs, 'more'), 0, pageOf(1)), errno('ENOSPC'));
  fs.unlink(ROOT_INO, 'old');
  assert.throws(() => fs.attributes(old), errno('ESTALE'));
  const ino = makeFile(fs, 'new');
  for (let block = 0; block < 8; block++) fs.write(ino, block * PAGE_SIZE + 10, Uint8Array.of(1));
  const expected = new Uint8Array(7 * PAGE_SIZE + 11);
  for (let block = 0; block < 8; block++) expected[block * PAGE_SIZE + 10] = 1;
  assertBytes(contentOf(fs, ino), expected);
});

void test('one MiB is one mini-transaction and one extent', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f');
  const before = store.history.length;
  fs.write(ino, 0, new Uint8Array(MIB).fill(3));
  assert.equal(store.history.length, before + 1);
  assert.equal(fs.pagesOf(ino).length, 1);
});

void test('holes read as zeroes and cost nothing; bytes beyond a shortened end do not come back', () => {
  const scratch = makeScratch();
  const { fs, store } = scratch;
  const ino = makeFile(fs, 'f', pageOf(9, 2));
  fs.setAttributes(ino, { sizeBytes: 100 });
  fs.setAttributes(ino, { sizeBytes: 3 * PAGE_SIZE });
  fs.write(ino, 10 * PAGE_SIZE, Uint8Array.of(5));
  const expected = new Uint8Array(10 * PAGE_SIZE + 1);
  expected.fill(9, 0, 100);
  expected[10 * PAGE_SIZE] = 5;
  for (const each of [fs, remount(scratch)]) {
    assertBytes(contentOf(each, ino), expected);
    assert.equal(each.attributes(ino).allocatedBytes, 2 * PAGE_SIZE);
  }
  assert.equal(fs.read(ino, 10 * PAGE_SIZE + 1, new Uint8Array(5)), 0);
  assert.deepEqual(checkFilesystem(store).problems, []);
});

void test('files that grow beside each other have few extents', () => {
  const { fs } = makeScratch();
  const files = ['a', 'b', 'c'].map((name) => makeFile(fs, name));
  for (let block = 0; block < 400; block++) {
    for (const ino of files) fs.write(ino, block * PAGE_SIZE, pageOf(1 + (block % 200)));
  }
  for (const ino of files) assert.ok(fs.pagesOf(ino).length <= 8, `${fs.pagesOf(ino).length} extents`);
});

void test('a file in hundreds of pieces survives mounts and every shrinking', () => {
  const scratch = makeScratch();
  const { store } = scratch;
  let { fs } = scratch;
  const ino = makeFile(fs, 'f');
  const random = new SeededRandom(5);
  const model = new Uint8Array(600 * PAGE_SIZE);
  for (let i = 0; i < 300; i++) {
    const block = random.below(300) * 2;
    fs.write(ino, block * PAGE_SIZE, pageOf(1 + (i % 250)));
    model.fill(1 + (i % 250), block * PAGE_SIZE, (block + 1) * PAGE_SIZE);
  }
  fs.setAttributes(ino, { sizeBytes: model.length });
  assert.ok(fs.pagesOf(ino).length > 100);
  for (let end = 600; end > 0; end -= 37) {
    const at = random.below(end);
    fs.allocate(ino, { offset: at * PAGE_SIZE, length: 5000, keepSize: true, punchHole: true });
    model.fill(0, at * PAGE_SIZE, at * PAGE_SIZE + 5000);
    fs.setAttributes(ino, { sizeBytes: end * PAGE_SIZE });
    fs = remount(scratch);
    assertBytes(contentOf(fs, ino), model.subarray(0, end * PAGE_SIZE));
    assert.deepEqual(checkFilesystem(store).problems, []);
  }
});

void test('a removed file gives back its pages and all its slots', () => {
  const { fs, store } = makeScratch();
  for (let round = 0; round < 40; round++) {
    const ino = makeFile(fs, 'f');
    for (let block = 0; block < 200; block += 2) fs.write(ino, block * PAGE_SIZE, Uint8Array.of(1));
    fs.unlink(ROOT_INO, 'f');
    const { problems, pagesUsed } = checkFilesystem(store);
    assert.deepEqual([problems, pagesUsed], [[], 8], `round ${round}`);
  }
});

void test('a reserved range of 1 GiB reads as zeroes and is one small mini-transaction', () => {
  const { fs, store } = makeScratch({ pagesPerGroup: 1 << 18 });
  const ino = makeFile(fs, 'f');
  fs.allocate(ino, { offset: 0, length: 1024 * MIB });
  assert.equal(store.history.at(-1)?.length, 1);
  const { sizeBytes, allocatedBytes } = fs.attributes(ino);
  assert.deepEqual([sizeBytes, allocatedBytes], [1024 * MIB, 1024 * MIB]);
  fs.write(ino, 512 * MIB + 1, Uint8Array.of(4));
  const around = new Uint8Array(3);
  fs.read(ino, 512 * MIB, around);
  assert.deepEqual([...around], [0, 4, 0]);
  assert.equal(fs.pagesOf(ino).length, 3);
  assert.deepEqual(checkFilesystem(store).problems, []);
});

void test('fallocate: zeroes are zeroes, holes give their pages back, and the length is kept where asked', () => {
  const { fs, store } = makeScratch();
  const ino = makeFile(fs, 'f', pageOf(1, 4));
  const { blocksFree } = fs.statistics();
  fs.allocate(ino, { offset: 100, length: 2 * PAGE_SIZE, keepSize: true, punchHole: true });
  assert.equal(fs.statistics().blocksFree, blocksFree + 1);
  const expected = pageOf(1, 4).fill(0, 100, 100 + 2 * PAGE_SIZE);
  assertBytes(contentOf(fs, ino), expected);
  fs.allocate(ino, { offset: 3 * PAGE_SIZE, length: PAGE_SIZE, keepSize: true, zeroRange: true });
  expected.fill(0, 3 * PAGE_SIZE);
  assertBytes(contentOf(fs, ino), expected);
  assert.equal(fs.attributes(ino).allocatedBytes, 3 * PAGE_SIZE);
  fs.allocate(ino, { offset: 4 * PAGE_SIZE, length: PAGE_SIZE, keepSize: true });
  assert.equal(fs.attributes(ino).sizeBytes, 4 * PAGE_SIZE);
  fs.allocate(ino, { offset: 4 * PAGE_SIZE, length: 10 });
  assert.equal(fs.attributes(ino).sizeBytes, 4 * PAGE_SIZE + 10);
  assert.throws(() => fs.allocate(ino, { offset: 0, length: 1, punchHole: true }), errno('EOPNOTSUPP'));
  assert.throws(() => fs.allocate(ino, { offset: 0, length: 0 }), errno('EINVAL'));
  assert.deepEqual(checkFilesystem(store).problems, []);
});

void test('the volume grows when it must, before anything changes', async () => {
  const { fs, store } = makeScratch({ pagesPerGroup: 16, pagesMax: 64 });
  const ino = makeFile(fs, 'f');
  const write = () => fs.write(ino, 0, pageOf(1, 20));
  const before = { ...fs.attributes(ino), free: fs.statistics().blocksFree };
  const missing = lacking(write);
  assert.equal(missing.mapPages, 28);
  assert.deepEqual({ ...fs.attributes(ino), free: fs.statistics().blocksFree }, before);
  await store.prepare(missing);
  write();
  assertBytes(contentOf(fs, ino), pageOf(1, 20));
});

void test('a set limit gives ENOSPC, and removing a file is always possible', () => {
  const { fs } = makeScratch();
  fs.limitBytes = 20 * PAGE_SIZE;
  const ino = makeFile(fs, 'f', pageOf(1, 12));
  assert.deepEqual([fs.statistics().blocksTotal, fs.statistics().blocksFree], [20, 0]);
  assert.throws(() => fs.write(ino, 12 * PAGE_SIZE, pageOf(1)), errno('ENOSPC'));
  fs.write(ino, 0, pageOf(2));
  assert.equal(fs.attributes(ino).sizeBytes, 12 * PAGE_SIZE);
  fs.unlink(ROOT_INO, 'f');
  makeFile(fs, 'g', pageOf(1, 12));
});

void test('a store that will not apply leaves everything as it was', () => {
  class StubbornStore extends MemoryPageStore {
    stubborn = false;
    override apply(writes: Parameters<MemoryPageStore['apply']>[0]) {
      if (this.stubborn) throw new NotReady({ room: true });
      return super.apply(writes);
    }
  }
  const store = new StubbornStore();
  const scratch = makeScratch();
  for (const writes of scratch.store.history) store.apply(writes);
  const fs = remount({ ...scratch, store });
  const folder = makeFolder(fs, 'd');
  const ino = makeFile(fs, 'f', pageOf(1, 3));
  const open = makeFile(fs, 'open', pageOf(1));
  fs.open(open);
  fs.unlink(ROOT_INO, 'open');
  fs.write(ino, 0, pageOf(2));

  const seen = () => ({
    listing: fs.list(ROOT_INO).map(({ cookie, ...entry }) => ({ ...entry, cookie })),
    attributes: [ROOT_INO, folder, ino, open].map((each) => fs.attributes(each)),
    pages: fs.pagesOf(ino),
    statistics: fs.statistics(),
    ticket: fs.ticketOf(ino),
  });
  const before = seen();
  store.stubborn = true;
  const operations: (() => unknown)[] = [
    () => makeFile(fs, 'g'),
    () => makeFolder(fs, 'e'),
    () => fs.symlink(ROOT_INO, 'l', 'x'.repeat(1000), OWNER),
    () => fs.link(ino, ROOT_INO, 'g'),
    () => fs.unlink(ROOT_INO, 'f'),
    () => fs.removeDirectory(ROOT_INO, 'd'),
    () => fs.rename(ROOT_INO, 'f', folder, 'g'),
    () => fs.rename(ROOT_INO, 'f', ROOT_INO, 'd', { exchange: true }),
    () => fs.write(ino, 0, pageOf(3)),
    () => fs.write(ino, 7 * PAGE_SIZE, pageOf(3)),
    () => fs.setAttributes(ino, { sizeBytes: 5 }),
    () => fs.setAttributes(ino, { mode: 0o600 }),
    () => fs.allocate(ino, { offset: 0, length: MIB }),
    () => fs.allocate(ino, { offset: 0, length: PAGE_SIZE, keepSize: true, punchHole: true }),
    () => fs.release(open),
    () => fs.sync(ino),
    () => fs.syncAll(),
  ];
  for (const operation of operations) {
    assert.equal(lacking(operation).room, true);
    assert.deepEqual(seen(), before, String(operation));
  }
  store.stubborn = false;
  for (const operation of operations.slice(7)) operation();
  assert.deepEqual(checkFilesystem(store).problems, []);
});

void test('writing and giving away take set-user-id away', () => {
  const { fs } = makeScratch();
  const ino = makeFile(fs, 'f', pageOf(1));
  const mode = () => fs.attributes(ino).mode & 0o7777;
  fs.setAttributes(ino, { mode: 0o6755 });
  fs.write(ino, 0, Uint8Array.of(1), { keepSetId: true });
  assert.equal(mode(), 0o6755);
  fs.write(ino, 0, Uint8Array.of(1));
  assert.equal(mode(), 0o755);
  fs.setAttributes(ino, { mode: 0o6745 });
  fs.setAttributes(ino, { uid: 5 });
  assert.equal(mode(), 0o2745);
  fs.setAttributes(ino, { mode: 0o4755 });
  fs.setAttributes(ino, { sizeBytes: 1 });
  assert.equal(mode(), 0o755);
});

void test('what is no file has no content', () => {
  const { fs } = makeScratch();
  const link = fs.symlink(ROOT_INO, 'l', 'x', OWNER).ino;
  assert.throws(() => fs.read(ROOT_INO, 0, new Uint8Array(1)), errno('EISDIR'));
  assert.throws(() => fs.write(ROOT_INO, 0, new Uint8Array(1)), errno('EISDIR'));
  assert.throws(() => fs.write(link, 0, new Uint8Array(1)), errno('EINVAL'));
  assert.throws(() => fs.setAttributes(ROOT_INO, { sizeBytes: 0 }), errno('EISDIR'));
  const ino = makeFile(fs, 'f');
  assert.throws(() => fs.setAttributes(ino, { sizeBytes: 2 ** 47 + 1 }), errno('EFBIG'));
  assert.throws(() => fs.write(ino, 2 ** 47, Uint8Array.of(1)), errno('EFBIG'));
  fs.setAttributes(ino, { sizeBytes: 2 ** 47 });
  assert.equal(fs.attributes(ino).sizeBytes, 2 ** 47);
});
