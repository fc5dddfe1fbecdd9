/**
 * Proves that a volume holds a consistent filesystem, from its bytes alone: no code that mounts or changes one is used,
 * only the codecs. Tests run it after every simulated crash; people run it when they doubt.
 *
 * Proved: the superblock and the metadata pages are what they say; every page has one owner; every entry has an inode and
 * every inode is reached from the root (or is an orphan: no name, removed by the next mount); link counts, lengths and
 * extents agree; what lies beyond the end of a file in its last block is zero.
 */
import { PAGE_SIZE, type PageNumber } from '@rokka/kernel';
import { NotReady, whenReady, type AsyncPageStore, type PageStore } from '@rokka/volume';
import type { Mapping } from './extents.ts';
import {
  EXTENT_PAGES_MAX,
  pageAfter,
  ROOT_INO,
  slotIndex,
  slotPage,
  SUPERBLOCK_PAGE,
  type Ino,
  type SlotNumber,
} from './layout.ts';
import { MetadataScan } from './metadata-scan.ts';
import { kindOf, type FileKind } from './mode.ts';
import { nameProblem } from './names.ts';
import type { EntryRecord, InodeRecord, Slot } from './slot.ts';
import type { Superblock } from './superblock.ts';

export interface CheckReport {
  /** Nothing here: the filesystem is sound. */
  readonly problems: readonly string[];
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly orphans: number;
  /** Superblock, metadata and files. */
  readonly pagesUsed: number;
}

/** @throws NotReady for pages that are not in memory; FILESYSTEM_NONE, _VERSION, _CORRUPT where there is no superblock */
export function checkFilesystem(store: PageStore): CheckReport {
  return new Check(store).run();
}

export function checkFilesystemAsync(store: AsyncPageStore, signal?: AbortSignal): Promise<CheckReport> {
  const check = new Check(store);
  return whenReady(store, () => check.run(), signal);
}

interface Node {
  readonly record: InodeRecord;
  readonly kind: FileKind;
  readonly extents: Mapping[];
  names: number;
  subdirectories: number;
  parent: Ino | undefined;
}

class Check {
  readonly #store: PageStore;
  readonly #scan: MetadataScan;
  readonly #problems: string[] = [];
  readonly #nodes = new Map<Ino, Node>();
  readonly #entries: EntryRecord[] = [];
  readonly #overflows: { at: string; ino: Ino; extents: Mapping[] }[] = [];
  readonly #runs: { page: PageNumber; count: number; owner: string }[] = [];
  /** Pages with the end of a file, to be looked at last. */
  #tails: { page: PageNumber; from: number; ino: Ino }[] = [];
  #joined = false;

  constructor(store: PageStore) {
    this.#store = store;
    this.#scan = new MetadataScan(store, (slot, content) => this.#take(slot, content));
  }

  /** Goes on from where it was after NotReady. */
  run(): CheckReport {
    const superblock = this.#scan.run();
    if (!this.#joined) this.#join(superblock);
    this.#joined = true;
    this.#checkTails();
    const nodes = [...this.#nodes.values()];
    return {
      problems: this.#problems,
      files: nodes.filter(({ kind }) => kind === 'file').length,
      directories: nodes.filter(({ kind }) => kind === 'directory').length,
      symlinks: nodes.filter(({ kind }) => kind === 'symlink').length,
      orphans: nodes.filter(({ record }) => record.nlink === 0).length,
      pagesUsed: this.#runs.reduce((sum, { count }) => sum + count, 0),
    };
  }

  #problem(what: string): void {
    this.#problems.push(what);
  }

  #take(slot: SlotNumber, content: Slot): void {
    const at = `page ${slotPage(slot)} slot ${slotIndex(slot)}`;
    switch (content.type) {
      case 'free':
        return;
      case 'damaged':
        return this.#problem(`${at}: ${content.why}`);
      case 'entry':
        this.#entries.push(content.record);
        return;
      case 'extents':
        this.#overflows.push({
          at,
          ino: content.ino,
          extents: content.extents.filter((x) => x !== undefined),
        });
        return;
      case 'inode': {
        const { record, extents } = content;
        const kind = kindOf(record.mode);
        if (!kind) return this.#problem(`${at}: inode ${record.ino} has mode ${record.mode}`);
        if (this.#nodes.has(record.ino)) return this.#problem(`${at}: inode ${record.ino} stands twice`);
        const mapped = extents.filter((x) => x !== undefined);
        const names = { names: 0, subdirectories: 0, parent: undefined };
        this.#nodes.set(record.ino, { record, kind, extents: mapped, ...names });
      }
    }
  }

  #join(superblock: Superblock): void {
    for (const { at, ino, extents } of this.#overflows) {
      if (extents.length === 0) this.#problem(`${at}: a slot for extents has none`);
      const node = this.#nodes.get(ino);
      if (node) for (const extent of extents) node.extents.push(extent);
      else this.#problem(`${at}: extents of inode ${ino}, which is not there`);
    }
    this.#runs.push({ page: SUPERBLOCK_PAGE, count: 1, owner: 'the superblock' });
    for (const chunk of superblock.chunks) this.#runs.push({ ...chunk, owner: 'the metadata' });
    this.#checkEntries();
    for (const node of this.#nodes.values()) {
      if (node.record.ino >= superblock.inoLimit)
        this.#problem(`inode ${node.record.ino} is above the limit`);
      this.#checkLinks(node);
      this.#checkExtents(node);
    }
    this.#checkOwners();
  }

  #checkEntries(): void {
    const seen = new Set<string>();
    for (const { parent, child, name } of this.#entries) {
      const what = `entry ${JSON.stringify(name)} of ${parent}`;
      const why = nameProblem(name);
      if (why) this.#problem(`${what} ${why}`);
      if (seen.has(`${parent}/${name}`)) this.#problem(`${what} stands twice`);
      seen.add(`${parent}/${name}`);
      const directory = this.#nodes.get(parent);
      const node = this.#nodes.get(child);
      if (directory?.kind !== 'directory') this.#problem(`${what}: that is no directory`);
      if (!node) {
        this.#problem(`${what}: inode ${child} is not there`);
        continue;
      }
      node.names += 1;
      node.parent = parent;
      if (directory && node.kind === 'directory') directory.subdirectories += 1;
    }
  }

  #checkLinks({ record, kind, names, subdirectories }: Node): void {
    const { ino, nlink } = record;
    const isRoot = ino === ROOT_INO;
    const orphan = nlink === 0 && !isRoot;
    const expected = kind === 'directory' ? (orphan ? 0 : 2 + subdirectories) : names;
    if (nlink !== expected) this.#problem(`inode ${ino} counts ${nlink} links, there are ${expected}`);
    if (kind === 'directory' && names !== (isRoot || orphan ? 0 : 1)) {
      this.#problem(`directory ${ino} has ${names} names`);
    }
    if (orphan && subdirectories > 0) this.#problem(`orphan ${ino} has entries`);
    if (!orphan && !this.#reachesRoot(ino)) this.#problem(`inode ${ino} cannot be reached from the root`);
  }

  #reachesRoot(from: Ino): boolean {
    let at: Ino | undefined = from;
    for (let steps = 0; at !== undefined && steps <= this.#nodes.size; steps++) {
      if (at === ROOT_INO) return this.#nodes.get(ROOT_INO)?.kind === 'directory';
      at = this.#nodes.get(at)?.parent;
    }
    return false;
  }

  #checkExtents({ record, kind, extents }: Node): void {
    const { ino, sizeBytes, target } = record;
    if (kind === 'directory' && extents.length > 0) this.#problem(`directory ${ino} has extents`);
    if (target !== undefined && (kind !== 'symlink' || target.length !== sizeBytes || extents.length > 0)) {
      this.#problem(`inode ${ino} and its link target do not agree`);
    }
    if (kind === 'symlink' && target === undefined && extents.length !== 1) {
      this.#problem(`symbolic link ${ino} has no target`);
    }
    extents.sort((a, b) => a.block - b.block);
    for (const [i, { block, page, count, written }] of extents.entries()) {
      const end = block + count;
      this.#runs.push({ page, count, owner: `inode ${ino} block ${block}` });
      const next = extents.at(i + 1);
      if (next && i + 1 < extents.length) {
        const joins = next.block === end && next.page === page + count && next.written === written;
        if (next.block < end) this.#problem(`inode ${ino}: two extents hold block ${next.block}`);
        if (joins && count + next.count <= EXTENT_PAGES_MAX) {
          this.#problem(`inode ${ino}: extents at ${block} and ${next.block} should be one`);
        }
      }
      if (written && end > Math.ceil(sizeBytes / PAGE_SIZE)) {
        this.#problem(`inode ${ino}: written blocks to ${end}, but only ${sizeBytes} bytes`);
      }
      const last = Math.floor(sizeBytes / PAGE_SIZE);
      if (written && sizeBytes % PAGE_SIZE !== 0 && block <= last && last < end) {
        this.#tails.push({ page: pageAfter(page, last - block), from: sizeBytes % PAGE_SIZE, ino });
      }
    }
  }

  #checkOwners(): void {
    this.#runs.sort((a, b) => a.page - b.page);
    let end = 0;
    let owner = '';
    for (const run of this.#runs) {
      if (run.page < end) this.#problem(`page ${run.page} belongs to ${owner} and to ${run.owner}`);
      if (run.page + run.count <= end) continue;
      end = run.page + run.count;
      owner = run.owner;
    }
    if (end > this.#store.pagesMax) this.#problem(`${owner} lies beyond the volume's end`);
  }

  #checkTails(): void {
    const absent = this.#tails.filter(({ page }) => !this.#store.has(page));
    for (const { page, from, ino } of this.#tails) {
      if (!this.#store.has(page)) continue;
      const beyond = this.#store.page(page).subarray(from);
      if (beyond.some((byte) => byte !== 0))
        this.#problem(`inode ${ino}: bytes beyond its end on page ${page}`);
    }
    this.#tails = absent;
    if (absent.length > 0) throw new NotReady({ pages: absent.slice(0, 256).map(({ page }) => page) });
  }
}
