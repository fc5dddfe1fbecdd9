import assert from 'node:assert/strict';
import test from 'node:test';
import { isCoded, PAGE_SIZE, SeededRandom, VirtualClock, type PageNumber } from '@rokka/kernel';
import { MemoryPageStore, type NotReady, type PageWrite } from '@rokka/volume';
import { checkFilesystem, checkFilesystemAsync } from './checker.ts';
import { FileSystem } from './filesystem.ts';
import {
  ROOT_INO,
  slotOffset,
  slotPage,
  SLOT_BYTES,
  SLOTS_PER_PAGE,
  type Ino,
  type SlotNumber,
} from './layout.ts';
import { decodeSlot, encodeEntry, encodeExtents, encodeInode, type Slot } from './slot.ts';
import {
  assertBytes,
  contentOf,
  makeFile,
  makeFolder,
  makeScratch,
  pageOf,
  remount,
  type Scratch,
} from './testing/scratch.ts';

const code = (expected: string) => (error: unknown) => isCoded(error, expected);

void test('an empty volume has no filesystem, and one that has is not formatted', () => {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const store = new MemoryPageStore();
  assert.throws(() => FileSystem.mount(store, { clock }), code('FILESYSTEM_NONE'));
  FileSystem.format(store, { clock, random, root: { mode: 0o700, uid: 5, gid: 6 } });
  assert.equal(store.history.length, 1);
  const { mode, uid, gid, nlink } = FileSystem.mount(store, { clock }).attributes(ROOT_INO);
  assert.deepEqual({ mode, uid, gid, nlink }, { mode: 0o040700, uid: 5, gid: 6, nlink: 2 });
  assert.throws(() => FileSystem.format(store, { clock, random }), code('FILESYSTEM_EXISTS'));
});

void test('a filesystem of another version, and a page 0 that is none, are told apart', () => {
  const scratch = makeScratch();
  scratch.store.apply([{ page: 0 as PageNumber, offset: 8, bytes: Uint8Array.of(2) }]);
  assert.throws(() => remount(scratch), code('FILESYSTEM_VERSION'));
  scratch.store.apply([{ page: 0 as PageNumber, offset: 0, bytes: Uint8Array.of(0) }]);
  assert.throws(() => remount(scratch), code('FILESYSTEM_CORRUPT'));
});

/** Keeps so few pages that no two batches of metadata fit at once. */
class TinyCacheStore extends MemoryPageStore {
  asked = 0;
  override async prepare(lacking: NotReady): Promise<void> {
    this.asked += 1;
    this.evict(this.pagesHeld());
    await super.prepare(lacking);
  }
}

void test('mounts with a cache that is smaller than the metadata, in batches', async () => {
  const { fs, store } = makeScratch({ pagesPerGroup: 8192 });
  for (let i = 0; i < 3000; i++) makeFile(fs, `f${i}`);
  const tiny = new TinyCacheStore({ pagesPerGroup: 8192 });
  for (const writes of store.history) tiny.apply(writes);
  tiny.evict(tiny.pagesHeld());
  const again = await FileSystem.mountAsync(tiny, { clock: new VirtualClock() });
  assert.equal(again.list(ROOT_INO, 0, 10_000).length, 3002);
  assert.ok(tiny.asked <= 5, `asked ${tiny.asked} times`);
  tiny.evict(tiny.pagesHeld());
  assert.deepEqual((await checkFilesystemAsync(tiny)).problems, []);
});

void test('mounting can be given up', async () => {
  const { store } = makeScratch();
  store.evict(store.pagesHeld());
  const signal = AbortSignal.abort(new Error('given up'));
  const clock = new VirtualClock();
  await assert.rejects(FileSystem.mountAsync(store, { clock, signal }), /given up/);
});

interface Damage {
  readonly name: string;
  /** The problem that the checker has to name. */
  readonly found: RegExp;
  readonly make: (volume: Volume) => PageWrite[];
  /** Where the mount looks the other way: it costs a scan of data or of the whole tree. */
  readonly mounts?: boolean;
}

interface Volume extends Scratch {
  readonly file: Ino;
  readonly other: Ino;
  readonly folder: Ino;
}

const damages: Damage[] = [
  {
    name: 'a flipped bit in a slot',
    found: /checksum/,
    make: ({ store, file }) => {
      const { slot } = findInode(store, file);
      return [{ page: slotPage(slot), offset: slotOffset(slot) + 20, bytes: Uint8Array.of(99) }];
    },
  },
  {
    name: 'a metadata page in another place',
    found: /belongs here/,
    make: ({ store }) => [{ page: 2 as PageNumber, offset: 0, bytes: store.page(1 as PageNumber).slice() }],
  },
  {
    name: 'a page in two files',
    found: /belongs to inode \d+ block 0 and to inode/,
    make: ({ store, file, other }) => {
      const { slot, content } = findInode(store, file);
      return [slotWrite(slot, encodeInode(content.record, findInode(store, other).content.extents))];
    },
  },
  {
    name: 'metadata in a file',
    found: /belongs to the metadata and to inode/,
    make: ({ store, file }) => {
      const { slot, content } = findInode(store, file);
      const extent = { block: 0, page: 3 as PageNumber, count: 1, written: true };
      return [slotWrite(slot, encodeInode(content.record, [extent]))];
    },
  },
  {
    name: 'two extents for one block',
    found: /two extents hold block 1/,
    make: ({ store, file }) => {
      const { slot, content } = findInode(store, file);
      const extent = { block: 1, page: 900 as PageNumber, count: 1, written: true };
      return [slotWrite(slot, encodeInode(content.record, [content.extents[0], extent]))];
    },
  },
  {
    name: 'an entry without an inode',
    found: /inode \d+ is not there/,
    make: ({ store, file }) => [slotWrite(findInode(store, file).slot, new Uint8Array(SLOT_BYTES))],
  },
  {
    name: 'an entry in what is no directory',
    found: /is no directory/,
    make: ({ store, file, other }) => {
      const { slot } = findEntry(store, 'f');
      return [slotWrite(slot, encodeEntry({ parent: other, child: file, name: 'f' }))];
    },
  },
  {
    name: 'a lost entry',
    found: /counts 1 links, there are 0/,
    make: ({ store }) => [slotWrite(findEntry(store, 'f').slot, new Uint8Array(SLOT_BYTES))],
  },
  {
    name: 'a name twice',
    found: /stands twice/,
    make: ({ store }) => {
      const { slot, record } = findEntry(store, 'g');
      return [slotWrite(slot, encodeEntry({ ...record, parent: ROOT_INO, name: 'f' }))];
    },
  },
  {
    name: 'a directory in itself',
    found: /cannot be reached/,
    make: ({ store, folder }) => {
      const { slot, record } = findEntry(store, 'd');
      const own = findInode(store, folder);
      const root = findInode(store, ROOT_INO);
      return [
        slotWrite(slot, encodeEntry({ ...record, parent: folder })),
        slotWrite(own.slot, encodeInode({ ...own.content.record, nlink: 3 }, [])),
        slotWrite(root.slot, encodeInode({ ...root.content.record, nlink: 2 }, [])),
      ];
    },
    mounts: true,
  },
  {
    name: 'extents of nobody',
    found: /extents of inode 900/,
    make: ({ store }) => {
      const slot = findSlot(store, (content) => content.type === 'free').slot;
      const extent = { block: 0, page: 900 as PageNumber, count: 1, written: true };
      return [slotWrite(slot, encodeExtents(900 as Ino, [extent]))];
    },
  },
  {
    name: 'bytes beyond the end of a file',
    found: /bytes beyond its end/,
    make: ({ fs, other }) => [
      { page: fs.pagesOf(other)[0].page, offset: PAGE_SIZE - 1, bytes: Uint8Array.of(1) },
    ],
    mounts: true,
  },
  {
    name: 'written blocks beyond the end',
    found: /written blocks to 2/,
    make: ({ store, file }) => {
      const { slot, content } = findInode(store, file);
      return [slotWrite(slot, encodeInode({ ...content.record, sizeBytes: 10 }, content.extents))];
    },
    mounts: true,
  },
];

for (const { name, found, make, mounts = false } of damages) {
  void test(`damage is found: ${name}`, () => {
    const scratch = makeScratch();
    const { fs, store } = scratch;
    const file = makeFile(fs, 'f', pageOf(1, 2));
    const folder = makeFolder(fs, 'd');
    const other = makeFile(fs, 'g', Uint8Array.of(1, 2, 3), folder);
    assert.deepEqual(checkFilesystem(store).problems, []);
    store.apply(make({ ...scratch, file, folder, other }));
    assert.match(checkFilesystem(store).problems.join('\n'), found);
    if (mounts) remount(scratch);
    else assert.throws(() => remount(scratch), code('FILESYSTEM_CORRUPT'));
  });
}

void test('content and directories are the same after a mount', () => {
  const scratch = makeScratch();
  const folder = makeFolder(scratch.fs, 'd');
  const ino = makeFile(scratch.fs, 'f', pageOf(7, 3), folder);
  const fs = remount(scratch);
  assert.equal(fs.id, scratch.fs.id);
  assertBytes(contentOf(fs, ino), pageOf(7, 3));
  assert.deepEqual(fs.list(folder), scratch.fs.list(folder));
  assert.deepEqual(fs.attributes(ino), scratch.fs.attributes(ino));
  assert.deepEqual(fs.statistics(), scratch.fs.statistics());
});

function slotWrite(slot: SlotNumber, bytes: Uint8Array): PageWrite {
  return { page: slotPage(slot), offset: slotOffset(slot), bytes };
}

function findSlot(store: MemoryPageStore, wanted: (content: Slot) => boolean) {
  for (let slot = SLOTS_PER_PAGE; slot < 8 * SLOTS_PER_PAGE; slot++) {
    if (slot % SLOTS_PER_PAGE === 0) continue;
    const number = slot as SlotNumber;
    const at = slotOffset(number);
    const content = decodeSlot(store.page(slotPage(number)).slice(at, at + SLOT_BYTES));
    if (wanted(content)) return { slot: number, content };
  }
  throw new Error('no such slot');
}

function findInode(store: MemoryPageStore, ino: Ino) {
  const { slot, content } = findSlot(store, (each) => each.type === 'inode' && each.record.ino === ino);
  return { slot, content: content as Extract<Slot, { type: 'inode' }> };
}

function findEntry(store: MemoryPageStore, name: string) {
  const { slot, content } = findSlot(store, (each) => each.type === 'entry' && each.record.name === name);
  return { slot, record: (content as Extract<Slot, { type: 'entry' }>).record };
}
