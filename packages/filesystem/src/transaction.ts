/**
 * One operation on the filesystem: first it is planned, then written as one mini-transaction, then adopted in memory.
 *
 * Whatever is thrown before the write, a NotReady above all, leaves the tree as it was: drafts, slots and places are
 * the transaction's own until then, and pages that it took are given back. After the write nothing may throw.
 */
import { assert, must, type PageNumber } from '@rokka/kernel';
import type { PageWrite, Ticket } from '@rokka/volume';
import { Entry } from './directory.ts';
import { refuse } from './errors.ts';
import type { Mapping, Splice } from './extents.ts';
import { Inode, newOverflowHome, type Extent, type ExtentHome } from './inode.ts';
import {
  CHUNK_PAGES_MAX,
  CHUNK_PAGES_MIN,
  CHUNKS_MAX,
  INO_BATCH,
  pageAfter,
  slotAt,
  slotOffset,
  slotPage,
  SLOTS_PER_PAGE,
  SUPERBLOCK_PAGE,
  type Ino,
  type PageRun,
  type SlotNumber,
} from './layout.ts';
import { encodeEntry, encodeExtents, encodeInode, SLOT_FREE, type InodeRecord } from './slot.ts';
import { encodePageHeader, encodeSuperblock, type Superblock } from './superblock.ts';
import type { Tree } from './tree.ts';

const FREE_SLOT = Uint8Array.of(SLOT_FREE);

/** Plans with `plan` and carries it out. @throws NotReady, FsError; then nothing has changed */
export function transact<T>(tree: Tree, plan: (change: Transaction) => T): T {
  const change = new Transaction(tree);
  try {
    const result = plan(change);
    change.commit();
    return result;
  } catch (error) {
    change.abandon();
    throw error;
  }
}

/** A planned change of where one file lies. */
interface Remap {
  readonly splice: Splice;
  readonly extents: readonly Extent[];
  readonly homes: readonly ExtentHome[];
}

export class Transaction {
  readonly #tree: Tree;
  readonly #drafts = new Map<Inode, InodeRecord>();
  readonly #remaps = new Map<Inode, Remap>();
  readonly #places = new Map<ExtentHome, (Extent | undefined)[]>();
  /** Inodes whose content could not be read back without this change. */
  readonly #essential = new Set<Inode>();
  readonly #destroyed = new Set<Inode>();
  readonly #writes: PageWrite[] = [];
  readonly #pagesTaken: PageRun[] = [];
  readonly #pagesFreed: PageRun[] = [];
  readonly #slotsFreed: SlotNumber[] = [];
  readonly #adoptions: (() => void)[] = [];
  #slotsTaken = 0;
  /** Slots of a chunk that this change adds. */
  #slotsFresh: SlotNumber[] = [];
  #superblock: Superblock | undefined;
  #inosTaken = 0;

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  /** The inode's record to be: change its fields. The first call makes the copy. */
  edit(inode: Inode): InodeRecord {
    let draft = this.#drafts.get(inode);
    if (!draft) {
      draft = { ...inode.record };
      this.#drafts.set(inode, draft);
    }
    return draft;
  }

  /** As `edit`, for a change that fdatasync has to wait for as well. */
  editEssential(inode: Inode): InodeRecord {
    this.#essential.add(inode);
    return this.edit(inode);
  }

  /** A new inode; it needs an entry, or is an orphan. */
  createInode(fields: Omit<InodeRecord, 'ino'>): Inode {
    const ino = (this.#tree.nextIno + this.#inosTaken++) as Ino;
    const { inoLimit } = this.#nextSuperblock;
    if (ino >= inoLimit) this.#superblock = { ...this.#nextSuperblock, inoLimit: inoLimit + INO_BATCH };
    const inode = new Inode({ ...fields, ino }, this.#takeSlot());
    this.editEssential(inode);
    this.#adoptions.push(() => this.#tree.inodes.set(ino, inode));
    return inode;
  }

  /** Frees the inode with all that it holds. */
  destroyInode(inode: Inode): void {
    assert(!this.#remaps.has(inode), 'an inode is destroyed while it is remapped');
    this.#destroyed.add(inode);
    for (const { slot } of inode.homes) this.#dropSlot(slot);
    for (const { page, count } of inode.extents) this.#pagesFreed.push({ page, count });
    this.#adoptions.push(() => {
      this.#tree.inodes.delete(inode.record.ino);
      this.#tree.timesDirty.delete(inode);
      this.#tree.pages.dropWindow(inode.record.ino);
    });
  }

  addEntry(parent: Inode, name: string, child: Inode): void {
    this.#writeEntry(new Entry({ slot: this.#takeSlot(), parent, name, child }));
  }

  removeEntry(entry: Entry): void {
    this.#dropSlot(entry.slot);
    this.#adoptions.push(() => must(entry.parent.directory).remove(entry));
  }

  /** The entry under another name, in the same slot. */
  moveEntry(entry: Entry, parent: Inode, name: string): void {
    this.#adoptions.push(() => must(entry.parent.directory).remove(entry));
    this.#writeEntry(new Entry({ slot: entry.slot, parent, name, child: entry.child }));
  }

  /** The entry keeps its name and means another inode. */
  retargetEntry(entry: Entry, child: Inode): void {
    this.#writeSlot(entry.slot, encodeEntry(recordOf(entry, child)));
    this.#adoptions.push(() => {
      entry.child = child;
      if (child.directory) child.parent = entry.parent;
    });
  }

  /** Bytes of a file's page. `init` as for PageWrite. */
  write(write: PageWrite): void {
    this.#writes.push(write);
  }

  /** Pages for `inode`. @throws NotReady, FsError ENOSPC */
  takePages(inode: Inode, count: number, after: PageNumber | undefined): PageRun[] {
    const { ino } = inode.record;
    const runs = this.#tree.pages.take(ino, { count, after, mappedBlocks: inode.mappedBlocks });
    for (const run of runs) this.#pagesTaken.push(run);
    return runs;
  }

  /** Adopts `splice` for the inode's extents and frees the pages that nobody maps afterwards. */
  remap(inode: Inode, splice: Splice, freed: readonly PageRun[]): void {
    if (splice.deleteCount === 0 && splice.added.length === 0) return;
    assert(!this.#remaps.has(inode), 'one change of mapping an inode and transaction');
    this.editEssential(inode);
    for (const run of freed) this.#pagesFreed.push(run);

    const removed = inode.extents.slice(splice.from, splice.from + splice.deleteCount);
    const former = new Map(removed.map((extent) => [extent.block, extent]));
    for (const { home, place } of removed) this.#placesOf(home)[place] = undefined;
    // What begins at the same block keeps its place, so that a growing extent changes no other slot.
    const extents = splice.added.map((mapping): Extent | undefined => {
      const old = former.get(mapping.block);
      return old && this.#settle(mapping, old.home, old.place);
    });
    const homes = [...inode.homes];
    const settled = extents.map((extent, i) => extent ?? this.#settleAnywhere(splice.added[i], homes));
    const kept = homes.filter((home, i) => i === 0 || !this.#dropIfEmpty(home));
    this.#remaps.set(inode, { splice, extents: settled, homes: kept });
  }

  /** Writes everything as one mini-transaction and adopts it. @throws NotReady, nothing changed */
  commit(): void {
    const writes = this.#encode();
    if (writes.length === 0) return;
    const ticket = this.#tree.store.apply(writes);
    this.#adopt(ticket);
  }

  /** Gives back what was taken; the tree is as before. */
  abandon(): void {
    for (const run of this.#pagesTaken) this.#tree.pages.free(run);
  }

  #encode(): PageWrite[] {
    for (const [inode, draft] of this.#drafts) {
      if (this.#destroyed.has(inode)) continue;
      const own = inode.homes[0];
      this.#writeSlot(own.slot, encodeInode(draft, this.#places.get(own) ?? own.places));
    }
    for (const [inode, { homes }] of this.#remaps) {
      for (const home of homes.slice(1)) {
        const places = this.#places.get(home);
        if (places) this.#writeSlot(home.slot, encodeExtents(inode.record.ino, places));
      }
    }
    if (this.#superblock) {
      const init = !this.#tree.store.has(SUPERBLOCK_PAGE);
      this.#writes.push({
        page: SUPERBLOCK_PAGE,
        offset: 0,
        bytes: encodeSuperblock(this.#superblock),
        init,
      });
    }
    return this.#writes;
  }

  #adopt(ticket: Ticket): void {
    const tree = this.#tree;
    for (const [inode, draft] of this.#drafts) {
      inode.record = draft;
      tree.timesDirty.delete(inode);
      inode.ticket = ticket;
      if (this.#essential.has(inode)) inode.dataTicket = ticket;
    }
    for (const [inode, remap] of this.#remaps) adoptRemap(inode, remap);
    for (const [home, places] of this.#places) home.places = places;
    for (const adopt of this.#adoptions) adopt();
    tree.nextIno = (tree.nextIno + this.#inosTaken) as Ino;
    if (this.#superblock) tree.superblock = this.#superblock;
    tree.freeSlots.length -= this.#slotsTaken;
    for (const slot of this.#slotsFresh) tree.freeSlots.push(slot);
    for (const slot of this.#slotsFreed) tree.freeSlots.push(slot);
    for (const run of this.#pagesFreed) tree.pages.free(run);
    this.#pagesTaken.length = 0;
  }

  get #nextSuperblock(): Superblock {
    return this.#superblock ?? this.#tree.superblock;
  }

  #writeEntry(entry: Entry): void {
    this.#writeSlot(entry.slot, encodeEntry(recordOf(entry, entry.child)));
    this.#adoptions.push(() => {
      must(entry.parent.directory).add(entry);
      if (entry.child.directory) entry.child.parent = entry.parent;
    });
  }

  #placesOf(home: ExtentHome): (Extent | undefined)[] {
    let places = this.#places.get(home);
    if (!places) {
      places = [...home.places];
      this.#places.set(home, places);
    }
    return places;
  }

  #settle(mapping: Mapping, home: ExtentHome, place: number): Extent {
    const { block, page, count, written } = mapping;
    const extent = { block, page, count, written, home, place };
    this.#placesOf(home)[place] = extent;
    return extent;
  }

  /** Into any place that is free; `homes` grows where there is none. The newest home is likeliest to have one. */
  #settleAnywhere(mapping: Mapping, homes: ExtentHome[]): Extent {
    for (let i = homes.length - 1; i >= 0; i--) {
      const place = (this.#places.get(homes[i]) ?? homes[i].places).indexOf(undefined);
      if (place >= 0) return this.#settle(mapping, homes[i], place);
    }
    const home = newOverflowHome(this.#takeSlot());
    homes.push(home);
    return this.#settle(mapping, home, 0);
  }

  #dropIfEmpty(home: ExtentHome): boolean {
    const places = this.#places.get(home);
    if (!places || places.some((extent) => extent !== undefined)) return false;
    this.#places.delete(home);
    this.#dropSlot(home.slot);
    return true;
  }

  #writeSlot(slot: SlotNumber, bytes: Uint8Array): void {
    this.#writes.push({ page: slotPage(slot), offset: slotOffset(slot), bytes });
  }

  #dropSlot(slot: SlotNumber): void {
    this.#writeSlot(slot, FREE_SLOT);
    this.#slotsFreed.push(slot);
  }

  #takeSlot(): SlotNumber {
    const { freeSlots } = this.#tree;
    if (this.#slotsTaken < freeSlots.length) {
      this.#slotsTaken += 1;
      return freeSlots[freeSlots.length - this.#slotsTaken];
    }
    if (this.#slotsFresh.length === 0) this.#addChunk();
    return must(this.#slotsFresh.pop());
  }

  /** More metadata: as much as there is already, so that the list of chunks in the superblock stays short. */
  #addChunk(): void {
    const superblock = this.#nextSuperblock;
    if (superblock.chunks.length === CHUNKS_MAX) refuse('ENOSPC', 'the list of metadata chunks is full');
    const pages = superblock.chunks.reduce((sum, { count }) => sum + count, 0);
    const run = this.#tree.pages.takeRun(Math.min(CHUNK_PAGES_MAX, Math.max(CHUNK_PAGES_MIN, pages)));
    this.#pagesTaken.push(run);
    this.#superblock = { ...superblock, chunks: [...superblock.chunks, run] };
    for (let i = 0; i < run.count; i++) {
      const page = pageAfter(run.page, i);
      this.#writes.push({ page, offset: 0, bytes: encodePageHeader(superblock.id, page), init: true });
    }
    this.#slotsFresh = slotsOf(run);
  }
}

/** The slots of a run of metadata pages, the lowest last. */
export function slotsOf(run: PageRun): SlotNumber[] {
  const slots: SlotNumber[] = [];
  for (let page = run.page + run.count - 1; page >= run.page; page--) {
    for (let i = SLOTS_PER_PAGE - 1; i > 0; i--) slots.push(slotAt(page as PageNumber, i));
  }
  return slots;
}

function recordOf(entry: Entry, child: Inode) {
  return { parent: entry.parent.record.ino, child: child.record.ino, name: entry.name };
}

function adoptRemap(inode: Inode, { splice, extents, homes }: Remap): void {
  const { from, deleteCount } = splice;
  const removed = inode.extents.slice(from, from + deleteCount);
  const blocks = (list: readonly Extent[]) => list.reduce((sum, { count }) => sum + count, 0);
  inode.mappedBlocks += blocks(extents) - blocks(removed);
  // An argument each would overflow the stack where a whole fragmented file is replaced.
  if (extents.length < 1000) inode.extents.splice(from, deleteCount, ...extents);
  else inode.extents = inode.extents.slice(0, from).concat(extents, inode.extents.slice(from + deleteCount));
  inode.homes = homes;
}
