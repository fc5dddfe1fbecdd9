/**
 * A disk that behaves as badly as disks do, in memory. What is promised is only what POSIX promises: a write lasts when its
 * file was synced, a name when its directory was.
 *
 * - A power cut loses any subset of the unsynced sectors, and the newest of the unsynced changes of each directory.
 * - A trap lies in wait for the next write: it is lost, or lands elsewhere in its file, and the sync says that all is well.
 * - A sync may take its time; writes may fail because the disk is full or broken; bits rot.
 *
 * A process sees the disk through a mount, which its death makes useless: nothing that it still does reaches the disk.
 */
import { CodedError, must, type Disk, type DiskFile, type SeededRandom } from '@rokka/kernel';
import { Inode } from './sim-file.ts';

/** Thrown into a process that dies within a call. Coded, so that what is left of it takes it for an error of the world. */
export class PowerLoss extends CodedError {
  constructor() {
    super('SIMULATOR_POWER_LOSS', 'the machine has lost power');
  }
}

export type WriteTrap = 'lost' | 'misdirected';
export type Failing = 'none' | 'full' | 'write' | 'sync';

/** What a power cut does to unsynced sectors. */
export type Tear = 'all' | 'none' | 'some' | 'prefix';

const ODD_LOG_FILE = /[13579]\.log$/;

interface NameChange {
  readonly add?: { path: string; inode: Inode | 'directory' };
  readonly remove?: string;
}

export interface SimDiskOptions {
  sectorBytes: number;
  random: SeededRandom;
}

export class SimDisk {
  readonly #names = new Map<string, Inode | 'directory'>();
  readonly #durableNames = new Map<string, Inode | 'directory'>();
  /** Changes of each directory that are not durable, oldest first. */
  readonly #changes = new Map<string, NameChange[]>();
  /** Every file that ever was. */
  readonly #inodes: Inode[] = [];
  readonly #options: SimDiskOptions;
  #mount: Mount | undefined;
  trap: WriteTrap | undefined;
  failing: Failing = 'none';
  /** A sync takes up to so long. */
  syncMsMax = 0;
  onSync: ((ms: number) => void) | undefined;
  /** Power is lost at the disk operation after so many. */
  cutAfter: { operations: number; run: () => void } | undefined;
  /** What was on the disk, or should have come there, is not what a node will read: a trap went off, or bits flipped. */
  onSpoilt: ((path: string) => void) | undefined;
  /** The last two writes to the log, newest first: where one copy cannot tell damage from a torn end (log-replay.ts). */
  #logEnd: { path: string; at: number }[] = [];
  /** Writes to the log that must follow before what was spoilt is not the log's end any more. */
  #doubtfulWrites = 0;

  constructor(options: SimDiskOptions) {
    this.#options = options;
  }

  /** The disk as a new process sees it. */
  mount(): Disk {
    this.#mount = new Mount(this);
    return this.#mount;
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  /** The process is gone; what it wrote is still in the page cache. */
  detach(): void {
    if (this.#mount) this.#mount.gone = true;
    this.#mount = undefined;
  }

  /** The machine lost power. */
  powerLoss(random: SeededRandom, tear: Tear): void {
    this.detach();
    this.cutAfter = undefined;
    for (const changes of this.#changes.values()) {
      const kept = tear === 'all' ? 0 : tear === 'none' ? changes.length : random.below(changes.length + 1);
      for (const change of changes.slice(0, kept)) applyTo(this.#durableNames, change);
    }
    this.#changes.clear();
    this.#names.clear();
    const files = [...this.#durableNames].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [path, inode] of files) {
      // What lies in a directory that never became durable is out of reach.
      if (!this.#reachable(path)) this.#durableNames.delete(path);
      else this.#names.set(path, inode);
    }
    for (const inode of new Set(files.map(([, inode]) => inode)))
      if (inode !== 'directory') inode.powerLoss(random, tear);
  }

  /** All of it is gone, as when somebody put in an empty disk. */
  wipe(): void {
    this.detach();
    this.#names.clear();
    this.#durableNames.clear();
    this.#changes.clear();
  }

  /** The history is over: nobody looks at the disk any more. */
  release(): void {
    this.wipe();
    for (const inode of this.#inodes) inode.release();
  }

  /** Paths of the files whose name contains `part` and that hold something, sorted. */
  filesLike(part: string): string[] {
    const paths = [...this.#names].filter(
      ([path, inode]) => inode !== 'directory' && path.includes(part) && inode.sizeBytes > 0,
    );
    return paths.map(([path]) => path).sort();
  }

  sizeOf(path: string): number {
    return this.#file(path).sizeBytes;
  }

  /** Bytes as they are, for whoever looks for a place worth spoiling. */
  peek(path: string, at: number, length: number): Uint8Array {
    return this.#file(path).read(at, length);
  }

  /** Flips one bit at rest. */
  rot(path: string, at: number, bit: number): void {
    this.#file(path).flip(at, bit);
    this.onSpoilt?.(path);
  }

  /** Whether a restart now would take spoilt acknowledged bytes for a torn end, and lie about them without knowing. */
  get doubtful(): boolean {
    return this.#doubtfulWrites > 0;
  }

  /** Whether `at` lies before the end of the log by so much that damage there is noticed. */
  isNoticeable(path: string, at: number): boolean {
    const [last, before] = this.#logEnd;
    if (!last || !before) return false;
    return path < before.path || (path === before.path && at < before.at);
  }

  // What the mount calls.

  operation(): void {
    if (!this.cutAfter || this.cutAfter.operations-- > 0) return;
    const { run } = this.cutAfter;
    this.cutAfter = undefined;
    run();
    throw new PowerLoss();
  }

  node(path: string): Inode | 'directory' | undefined {
    return this.#names.get(path);
  }

  paths(): Iterable<string> {
    return this.#names.keys();
  }

  create(path: string): Inode {
    const inode = new Inode(this.#options.sectorBytes);
    this.#inodes.push(inode);
    this.change(path, { add: { path, inode } });
    return inode;
  }

  change(path: string, change: NameChange): void {
    applyTo(this.#names, change);
    const directory = parentOf(path);
    const changes = this.#changes.get(directory) ?? [];
    changes.push(change);
    this.#changes.set(directory, changes);
  }

  syncNames(directory: string): void {
    for (const change of this.#changes.get(directory) ?? []) applyTo(this.#durableNames, change);
    this.#changes.delete(directory);
  }

  write(path: string, inode: Inode, bytes: Uint8Array, at: number): void {
    const { random, sectorBytes } = this.#options;
    const { trap } = this;
    const isLog = path.endsWith('.log');
    if (isLog) this.#logEnd = [{ path, at }, ...this.#logEnd].slice(0, 2);
    if (!trap) {
      if (isLog && this.#doubtfulWrites > 0) this.#doubtfulWrites--;
      return inode.write(bytes, at);
    }
    this.trap = undefined;
    if (isLog) this.#doubtfulWrites = 2;
    this.onSpoilt?.(path);
    if (trap === 'lost') return;
    const places = Math.max(1, Math.floor(inode.sizeBytes / sectorBytes));
    inode.write(bytes, random.below(places) * sectorBytes);
  }

  sync(inode: Inode): void {
    const ms = this.syncMsMax > 0 ? this.#options.random.below(this.syncMsMax) : 0;
    inode.sync();
    if (ms > 0) this.onSync?.(ms);
  }

  #file(path: string): Inode {
    const inode = must(this.#names.get(path), 'no such file');
    if (inode === 'directory') throw failure('EISDIR', path);
    return inode;
  }

  #reachable(path: string): boolean {
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (!this.#durableNames.has(at)) return false;
    return true;
  }
}

class Mount implements Disk {
  readonly #disk: SimDisk;
  gone = false;

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  open(path: string, options: { create?: boolean } = {}): DiskFile {
    this.#demandThere();
    let inode = this.#disk.node(path);
    if (!inode) {
      if (!options.create) throw failure('ENOENT', path);
      this.#begin('write', path);
      inode = this.#disk.create(path);
    }
    if (inode === 'directory') throw failure('EISDIR', path);
    return this.#handle(path, inode);
  }

  exists(path: string): boolean {
    this.#demandThere();
    return this.#disk.node(path) !== undefined;
  }

  list(path: string): string[] {
    this.#demandThere();
    const prefix = `${path}/`;
    const names = [...this.#disk.paths()].filter((name) => name.startsWith(prefix));
    return [...new Set(names.map((name) => must(name.slice(prefix.length).split('/')[0])))].sort();
  }

  makeDirectory(path: string): void {
    this.#demandThere();
    const parent = parentOf(path);
    if (parent !== '' && this.#disk.node(parent) === undefined) this.makeDirectory(parent);
    if (this.#disk.node(path) === undefined) this.#disk.change(path, { add: { path, inode: 'directory' } });
    // What stands at the root is the operator's business, and there to stay.
    if (parent === '') this.#disk.syncNames(parent);
  }

  remove(path: string): void {
    this.#begin('name', path);
    const below = [...this.#disk.paths()].filter((name) => name === path || name.startsWith(`${path}/`));
    for (const name of below.sort().reverse()) this.#disk.change(name, { remove: name });
  }

  rename(from: string, to: string): void {
    this.#begin('name', from);
    const inode = this.#disk.node(from);
    if (!inode) throw failure('ENOENT', from);
    this.#disk.change(to, { remove: from, add: { path: to, inode } });
  }

  syncDirectory(path: string): void {
    this.#begin('sync', path);
    this.#disk.syncNames(path);
  }

  #handle(path: string, inode: Inode): DiskFile {
    return {
      path,
      read: (into, at) => {
        this.#demandThere();
        return inode.readInto(into, at);
      },
      write: (parts, at) => {
        const length = parts.reduce((sum, part) => sum + part.length, 0);
        this.#begin('write', path);
        const full = this.#disk.failing === 'full' && at + length > inode.sizeBytes;
        if (full) throw failure('ENOSPC', path);
        this.#disk.write(path, inode, parts.length === 1 ? must(parts[0]) : Buffer.concat(parts), at);
      },
      sync: () => {
        this.#begin('sync', path);
        this.#disk.sync(inode);
      },
      writeThrough: (bytes, at) => {
        // Every other file of the log is of a kind that cannot, and what else is unsynced would not become durable with it.
        if (!ODD_LOG_FILE.test(path) || inode.hasUnsynced || this.#disk.failing === 'full') return false;
        this.#begin('write', path);
        this.#disk.write(path, inode, bytes, at);
        this.#begin('sync', path);
        this.#disk.sync(inode);
        return true;
      },
      sizeBytes: () => {
        this.#demandThere();
        return inode.sizeBytes;
      },
      truncate: (sizeBytes) => {
        this.#begin('write', path);
        inode.truncate(sizeBytes);
      },
      [Symbol.dispose]() {},
    };
  }

  #begin(kind: 'write' | 'sync' | 'name', path: string): void {
    this.#demandThere();
    this.#disk.operation();
    if (this.#disk.failing === kind) throw failure('EIO', path);
  }

  #demandThere(): void {
    if (this.gone) throw new PowerLoss();
  }
}

function applyTo(names: Map<string, Inode | 'directory'>, change: NameChange): void {
  if (change.remove !== undefined) names.delete(change.remove);
  if (change.add) names.set(change.add.path, change.add.inode);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
