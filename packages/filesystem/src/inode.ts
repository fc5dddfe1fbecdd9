/** One file, directory or symbolic link in memory: its record, its extents and where they stand on the volume. */
import { must } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { Directory } from './directory.ts';
import type { Mapping } from './extents.ts';
import { INLINE_EXTENTS, OVERFLOW_EXTENTS, type SlotNumber } from './layout.ts';
import { kindOf, type FileKind } from './mode.ts';
import { ReadAhead } from './read-ahead.ts';
import type { InodeRecord } from './slot.ts';

/** A slot with room for extents: the inode's own, or one more. */
export interface ExtentHome {
  readonly slot: SlotNumber;
  places: readonly (Extent | undefined)[];
}

/** A mapping, and the place where it stands. */
export interface Extent extends Mapping {
  readonly home: ExtentHome;
  readonly place: number;
}

export class Inode {
  /** Replaced by every change but those of times alone. */
  record: InodeRecord;
  readonly kind: FileKind;
  /** Sorted by block; the invariants of extents.ts hold. */
  extents: Extent[] = [];
  /** The first is the inode's own slot. */
  homes: readonly ExtentHome[];
  /** How many blocks have a page. */
  mappedBlocks = 0;
  /** Of a directory. */
  readonly directory: Directory | undefined;
  /** Of a directory other than the root. */
  parent: Inode | undefined;
  openCount = 0;
  readonly readAhead = new ReadAhead();
  /** The last change, and the last one without which the content could not be read back. */
  ticket = 0 as Ticket;
  dataTicket = 0 as Ticket;

  constructor(record: InodeRecord, slot: SlotNumber) {
    this.record = record;
    this.kind = must(kindOf(record.mode), 'an inode of unknown kind');
    this.homes = [newHome(slot, INLINE_EXTENTS)];
    if (this.kind === 'directory') this.directory = new Directory();
  }

  get slot(): SlotNumber {
    return this.homes[0].slot;
  }
}

export function newOverflowHome(slot: SlotNumber): ExtentHome {
  return newHome(slot, OVERFLOW_EXTENTS);
}

function newHome(slot: SlotNumber, places: number): ExtentHome {
  return { slot, places: Array.from<undefined>({ length: places }) };
}
