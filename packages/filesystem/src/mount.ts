/**
 * Builds the tree from the volume: reads every slot, joins entries, inodes and extents, derives what is free, and removes
 * the files that had lost their last name but were still open when the last writer ended.
 *
 * A crash leaves a prefix of the mini-transactions, so whatever does not fit together is damage, never a crash's trace:
 * it is refused, naming page and slot.
 */
import { must, type Clock } from '@rokka/kernel';
import { type PageStore } from '@rokka/volume';
import type { TouchedInodes } from './dirty-times.ts';
import { filesystemErrors } from './errors.ts';
import { Entry } from './directory.ts';
import { canJoin } from './extents.ts';
import { Inode, newOverflowHome, type Extent, type ExtentHome } from './inode.ts';
import { ROOT_INO, slotIndex, slotPage, SUPERBLOCK_PAGE, type Ino, type SlotNumber } from './layout.ts';
import { MetadataScan } from './metadata-scan.ts';
import { kindOf } from './mode.ts';
import { nameProblem } from './names.ts';
import type { EntryRecord, ExtentTable, Slot } from './slot.ts';
import { transact } from './transaction.ts';
import { Tree } from './tree.ts';

/** What outlives whoever had the filesystem open. */
export interface Inherited {
  /** How often each inode is open still. */
  readonly opened: ReadonlyMap<Ino, number>;
  /** Inodes that were written to, which does not show in their times. */
  readonly touched: Iterable<Ino>;
}

export class Mount {
  readonly #store: PageStore;
  readonly #clock: Clock;
  readonly #scan: MetadataScan;
  readonly #inodes = new Map<Ino, Inode>();
  readonly #entries: { slot: SlotNumber; record: EntryRecord }[] = [];
  readonly #overflows: { slot: SlotNumber; ino: Ino; extents: ExtentTable }[] = [];
  readonly #freeSlots: SlotNumber[] = [];
  readonly #inherited: Inherited;
  readonly #touched: TouchedInodes | undefined;
  #tree: Tree | undefined;

  constructor(
    store: PageStore,
    options: { clock: Clock; inherited?: Inherited | undefined; touched?: TouchedInodes | undefined },
  ) {
    this.#store = store;
    this.#clock = options.clock;
    this.#inherited = options.inherited ?? { opened: new Map(), touched: [] };
    this.#touched = options.touched;
    this.#scan = new MetadataScan(store, (slot, content) => this.#take(slot, content));
  }

  /** Goes on from where it was after NotReady. @throws NotReady, FILESYSTEM_NONE, _VERSION, _CORRUPT */
  run(): Tree {
    this.#tree ??= this.#assemble();
    for (const inode of this.#tree.inodes.values()) {
      if (inode.record.nlink === 0 && inode.openCount === 0)
        transact(this.#tree, (change) => change.destroyInode(inode));
    }
    return this.#tree;
  }

  #take(slot: SlotNumber, content: Slot): void {
    switch (content.type) {
      case 'free':
        this.#freeSlots.push(slot);
        return;
      case 'damaged':
        throw corrupt(slot, content.why);
      case 'entry':
        this.#entries.push({ slot, record: content.record });
        return;
      case 'extents':
        this.#overflows.push({ slot, ino: content.ino, extents: content.extents });
        return;
      case 'inode': {
        const { record } = content;
        if (!kindOf(record.mode)) throw corrupt(slot, `inode ${record.ino} has mode ${record.mode}`);
        if (this.#inodes.has(record.ino)) throw corrupt(slot, `inode ${record.ino} stands twice`);
        const inode = new Inode(record, slot);
        adoptExtents(inode, inode.homes[0], content.extents);
        this.#inodes.set(record.ino, inode);
        return;
      }
    }
  }

  #assemble(): Tree {
    const superblock = this.#scan.run();
    const tree = new Tree({ store: this.#store, clock: this.#clock, superblock, touched: this.#touched });
    // Slots are taken from the end of the list: low ones first, so that the metadata in use stays together.
    for (const slot of this.#freeSlots.sort((a, b) => b - a)) tree.freeSlots.push(slot);
    const root = this.#inodes.get(ROOT_INO);
    if (!root?.directory) throw filesystemErrors.FILESYSTEM_CORRUPT([SUPERBLOCK_PAGE, 0, 'there is no root']);
    for (const { slot, ino, extents } of this.#overflows) {
      const inode = this.#inodes.get(ino) ?? fail(slot, `extents of inode ${ino}, which is not there`);
      const home = newOverflowHome(slot);
      inode.homes = [...inode.homes, home];
      adoptExtents(inode, home, extents);
    }
    this.#claimPages(tree);
    this.#joinEntries();
    for (const inode of this.#inodes.values()) {
      if (inode.record.ino >= superblock.inoLimit)
        throw corrupt(inode.slot, `inode ${inode.record.ino} is above the limit ${superblock.inoLimit}`);
      inode.openCount = this.#inherited.opened.get(inode.record.ino) ?? 0;
      tree.inodes.set(inode.record.ino, inode);
    }
    for (const ino of this.#inherited.touched) {
      const inode = tree.inodes.get(ino);
      if (inode) touch(tree, inode);
      else this.#touched?.delete(ino);
    }
    return tree;
  }

  #claimPages(tree: Tree): void {
    tree.pages.claim({ page: SUPERBLOCK_PAGE, count: 1 });
    for (const chunk of tree.superblock.chunks) {
      const twice = tree.pages.claim(chunk);
      if (twice !== undefined) throw corrupt(undefined, `page ${twice} is in two metadata chunks`);
    }
    for (const inode of this.#inodes.values()) {
      inode.extents.sort((a, b) => a.block - b.block);
      for (const [i, extent] of inode.extents.entries()) {
        const { block, page, count, home } = extent;
        const what = `extent at block ${block} of inode ${inode.record.ino}`;
        if (page + count > this.#store.pagesMax) throw corrupt(home.slot, `${what} ends beyond the volume`);
        const next = inode.extents[i + 1];
        if (next && (next.block < block + count || canJoin(extent, next)))
          throw corrupt(home.slot, `${what} meets the next one`);
        const twice = tree.pages.claim(extent);
        if (twice !== undefined) throw corrupt(home.slot, `${what}: page ${twice} is in use elsewhere`);
        inode.mappedBlocks += count;
      }
    }
  }

  #joinEntries(): void {
    const links = new Map<Inode, number>();
    const addLinks = (inode: Inode, count: number) => links.set(inode, (links.get(inode) ?? 0) + count);
    for (const { slot, record } of this.#entries) {
      const { parent: parentIno, child: childIno, name } = record;
      const parent = this.#inodes.get(parentIno);
      const child = this.#inodes.get(childIno);
      const { directory } = parent ?? {};
      const what = `entry ${JSON.stringify(name)}`;
      if (!parent || !directory) throw corrupt(slot, `${what} of ${parentIno}, which is no directory`);
      if (!child) throw corrupt(slot, `${what} of ${parentIno} names inode ${childIno}, which is not there`);
      if (nameProblem(name) !== undefined || directory.get(name)) throw corrupt(slot, `${what} cannot be`);
      directory.add(new Entry({ slot, parent, name, child }));
      addLinks(child, 1);
      if (!child.directory) continue;
      if (child.parent || childIno === ROOT_INO) throw corrupt(slot, `directory ${childIno} has two names`);
      child.parent = parent;
      addLinks(child, 1);
      addLinks(parent, 1);
    }
    addLinks(must(this.#inodes.get(ROOT_INO)), 2);
    for (const inode of this.#inodes.values()) {
      const { ino, nlink } = inode.record;
      const found = links.get(inode) ?? 0;
      if (found !== nlink)
        throw corrupt(inode.slot, `inode ${ino} counts ${nlink} links, there are ${found}`);
    }
  }
}

/** It was written to, nobody knows when: at the latest now. A time that goes back would hide that from backups. */
function touch(tree: Tree, inode: Inode): void {
  inode.record.mtime = inode.record.ctime = tree.now();
  tree.timesDirty.add(inode);
}

function adoptExtents(inode: Inode, home: ExtentHome, table: ExtentTable): void {
  const places = [...home.places];
  for (const [place, mapping] of table.entries()) {
    if (!mapping) continue;
    const extent: Extent = { ...mapping, home, place };
    places[place] = extent;
    inode.extents.push(extent);
  }
  home.places = places;
}

function corrupt(slot: SlotNumber | undefined, why: string) {
  const page = slot === undefined ? SUPERBLOCK_PAGE : slotPage(slot);
  return filesystemErrors.FILESYSTEM_CORRUPT([page, slot === undefined ? 0 : slotIndex(slot), why]);
}

function fail(slot: SlotNumber, why: string): never {
  throw corrupt(slot, why);
}
