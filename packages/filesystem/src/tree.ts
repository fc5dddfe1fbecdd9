/**
 * All metadata in memory, as it is on the volume: the one place where the state of a mounted filesystem lives.
 * It is changed by transactions (transaction.ts) and by nothing else, but for times that wait to be written.
 */
import { type Clock } from '@rokka/kernel';
import type { PageStore } from '@rokka/volume';
import { DirtyTimes, type TouchedInodes } from './dirty-times.ts';
import { refuse } from './errors.ts';
import { fileTimeFromMs, type FileTime } from './file-time.ts';
import type { Inode } from './inode.ts';
import type { Ino, SlotNumber } from './layout.ts';
import { PageAllocator } from './page-allocator.ts';
import type { Superblock } from './superblock.ts';

export class Tree {
  readonly store: PageStore;
  readonly #clock: Clock;
  readonly pages: PageAllocator;
  readonly inodes = new Map<Ino, Inode>();
  /** Taken from the end. */
  readonly freeSlots: SlotNumber[] = [];
  readonly timesDirty: DirtyTimes;
  superblock: Superblock;
  nextIno: Ino;
  #now: FileTime = fileTimeFromMs(0);
  #nowMs = 0;

  constructor(options: {
    store: PageStore;
    clock: Clock;
    superblock: Superblock;
    touched?: TouchedInodes | undefined;
  }) {
    this.timesDirty = new DirtyTimes(options.touched);
    this.store = options.store;
    this.#clock = options.clock;
    this.pages = new PageAllocator(options.store);
    this.superblock = options.superblock;
    this.nextIno = options.superblock.inoLimit as Ino;
  }

  now(): FileTime {
    const ms = this.#clock.wallMs();
    if (ms !== this.#nowMs) {
      this.#nowMs = ms;
      this.#now = fileTimeFromMs(ms);
    }
    return this.#now;
  }

  /** @throws FsError ESTALE where the inode is gone */
  inode(ino: Ino): Inode {
    return this.inodes.get(ino) ?? refuse('ESTALE', `inode ${ino} is gone`);
  }
}
