/**
 * A small POSIX filesystem on the pages of a volume: what FUSE and PGlite call.
 *
 * Every operation that changes anything is one mini-transaction, so every prefix of them is a consistent filesystem, and
 * a crash leaves a prefix. Any operation may throw NotReady; it has changed nothing then, and is run again when the
 * store has what was missing (`whenReady`). A refusal is an FsError with a Linux errno, and has changed nothing either.
 *
 * Names and link targets are byte strings (names.ts). Permissions are checked by the caller: the kernel does it under
 * default_permissions.
 */
import { assert, type Clock, type PageNumber, PAGE_SIZE } from '@rokka/kernel';
import {
  blockUntilReady,
  whenReady,
  type AsyncPageStore,
  type NotReady,
  type PageStore,
  type Ticket,
} from '@rokka/volume';
import { attributesOf, changeAttributes, type AttributeChange, type Attributes } from './attributes.ts';
import { refuse } from './errors.ts';
import { allocateRange, readFile, writeFile, type AllocateRange } from './file-data.ts';
import type { TouchedInodes } from './dirty-times.ts';
import { format, type FormatOptions } from './format.ts';
import type { Inode } from './inode.ts';
import { NAME_BYTES_MAX, SLOTS_PER_PAGE, WRITE_BYTES_MAX, type Ino } from './layout.ts';
import { type Inherited, Mount } from './mount.ts';
import { kindOf, S_IFMT, type FileKind } from './mode.ts';
import {
  addName,
  directoryAt,
  entryIn,
  makeDirectory,
  makeFile,
  makeLink,
  removeDirectory,
  removeName,
  type NewInode,
  type Owner,
} from './namespace.ts';
import { rename, type RenameOptions } from './rename.ts';
import { transact } from './transaction.ts';
import { type Tree } from './tree.ts';

export interface DirectoryEntry {
  /** A byte string. */
  readonly name: string;
  readonly ino: Ino;
  readonly kind: FileKind;
  /** Give it back to `list` to go on behind this entry. */
  readonly cookie: number;
}

/** As statfs(2) has it. */
export interface Statistics {
  readonly blockBytes: number;
  readonly blocksTotal: number;
  readonly blocksFree: number;
  readonly inodesTotal: number;
  readonly inodesFree: number;
  readonly nameBytesMax: number;
}

export interface MountOptions {
  readonly clock: Clock;
  /** What the one who had the filesystem open before leaves, where others go on with what they had open there. */
  readonly inherited?: Inherited;
  /** Of this one, for the one after it. */
  readonly touched?: TouchedInodes;
}

const LIST_LIMIT = 512;
/** Inodes whose times go into one mini-transaction, which has a longest length. */
const SYNC_INODES = 1024;

export class FileSystem {
  readonly #tree: Tree;

  private constructor(tree: Tree) {
    this.#tree = tree;
  }

  /** Makes an empty filesystem. @throws NotReady; FILESYSTEM_EXISTS where page 0 of the volume is not empty */
  static format(store: PageStore, options: FormatOptions): void {
    format(store, options);
  }

  /**
   * Reads all metadata. After NotReady the next call starts anew, so this is for stores that hold all of it at once;
   * the other two go on from where they were.
   * @throws NotReady; FILESYSTEM_NONE, FILESYSTEM_VERSION, FILESYSTEM_CORRUPT
   */
  static mount(store: PageStore, options: MountOptions): FileSystem {
    return new FileSystem(new Mount(store, options).run());
  }

  /** @throws FILESYSTEM_NONE, FILESYSTEM_VERSION, FILESYSTEM_CORRUPT, what the store throws, the signal's reason */
  static async mountAsync(
    store: AsyncPageStore,
    options: MountOptions & { signal?: AbortSignal },
  ): Promise<FileSystem> {
    const mount = new Mount(store, options);
    return new FileSystem(await whenReady(store, () => mount.run(), options.signal));
  }

  /** For a thread that may block: `wait` returns when the store has what was missing. */
  static mountBlocking(
    store: PageStore,
    options: MountOptions & { wait: (lacking: NotReady) => void },
  ): FileSystem {
    const mount = new Mount(store, options);
    return new FileSystem(blockUntilReady(() => mount.run(), options.wait));
  }

  /** 32 hexadecimal digits, made with the filesystem. */
  get id(): string {
    return this.#tree.superblock.id;
  }

  /** Bounds the filesystem below what the volume could hold; more than that meets ENOSPC. */
  set limitBytes(limit: number) {
    this.#tree.pages.limitPages = Math.floor(limit / PAGE_SIZE);
  }

  /** @throws FsError ENOENT, ENOTDIR, ESTALE, ENAMETOOLONG */
  lookup(parent: Ino, name: string): Attributes {
    return attributesOf(entryIn(directoryAt(this.#tree, parent), name).child);
  }

  /** @throws FsError ESTALE */
  attributes(ino: Ino): Attributes {
    return attributesOf(this.#tree.inode(ino));
  }

  /** Times alone are kept in memory until the inode's next change or sync. @throws FsError EISDIR, EINVAL, EFBIG */
  setAttributes(ino: Ino, change: AttributeChange): Attributes {
    const inode = this.#tree.inode(ino);
    changeAttributes(this.#tree, inode, change);
    return attributesOf(inode);
  }

  /** A new empty file. Does not open it. @throws FsError EEXIST, EINVAL, ENAMETOOLONG, ENOENT, ENOSPC */
  create(parent: Ino, name: string, made: NewInode): Attributes {
    const place = { parent: directoryAt(this.#tree, parent), name };
    return attributesOf(makeFile(this.#tree, place, made));
  }

  /** As mknod(2): regular files only. @throws FsError EPERM for devices, pipes and sockets; else as `create` */
  makeNode(parent: Ino, name: string, made: NewInode): Attributes {
    const plain = (made.mode & S_IFMT) === 0 || kindOf(made.mode) === 'file';
    return plain
      ? this.create(parent, name, made)
      : refuse('EPERM', 'devices, pipes and sockets cannot be here');
  }

  /** @throws FsError as `create` */
  makeDirectory(parent: Ino, name: string, made: NewInode): Attributes {
    const place = { parent: directoryAt(this.#tree, parent), name };
    return attributesOf(makeDirectory(this.#tree, place, made));
  }

  /** @throws FsError as `create` */
  symlink(parent: Ino, name: string, target: string, owner: Owner): Attributes {
    const place = { parent: directoryAt(this.#tree, parent), name };
    return attributesOf(makeLink(this.#tree, place, { ...owner, target }));
  }

  /** The target as a byte string. @throws FsError EINVAL */
  readlink(ino: Ino): string {
    const inode = this.#tree.inode(ino);
    const { target, sizeBytes } = inode.record;
    if (inode.kind !== 'symlink') return refuse('EINVAL', `inode ${ino} is a ${inode.kind}`);
    if (target !== undefined) return target;
    const bytes = Buffer.alloc(sizeBytes);
    readFile(this.#tree.store, inode, 0, bytes);
    return bytes.toString('latin1');
  }

  /** One more name for a file or symbolic link. @throws FsError EEXIST, EPERM, ENOENT, EMLINK, ENOSPC */
  link(ino: Ino, parent: Ino, name: string): Attributes {
    const inode = this.#tree.inode(ino);
    addName(this.#tree, inode, { parent: directoryAt(this.#tree, parent), name });
    return attributesOf(inode);
  }

  /** Removes a name; the file goes with its last one, when it is closed. @throws FsError ENOENT, EISDIR */
  unlink(parent: Ino, name: string): void {
    removeName(this.#tree, directoryAt(this.#tree, parent), name);
  }

  /** @throws FsError ENOENT, ENOTDIR, ENOTEMPTY */
  removeDirectory(parent: Ino, name: string): void {
    removeDirectory(this.#tree, directoryAt(this.#tree, parent), name);
  }

  /** Atomic, replacing. @throws FsError ENOENT, EEXIST, EINVAL, ENOTDIR, EISDIR, ENOTEMPTY, ENAMETOOLONG */
  rename(parent: Ino, name: string, newParent: Ino, newName: string, options: RenameOptions = {}): void {
    const from = { parent: directoryAt(this.#tree, parent), name };
    const to = { parent: directoryAt(this.#tree, newParent), name: newName };
    rename(this.#tree, from, to, options);
  }

  /** Counts one more opening: the inode outlives its last name until it is released as often. */
  open(ino: Ino): void {
    this.#tree.inode(ino).openCount += 1;
  }

  /** Ends one opening. @throws NotReady, and then it has not ended */
  release(ino: Ino): void {
    const inode = this.#tree.inode(ino);
    assert(inode.openCount > 0, () => `inode ${ino} is released more often than opened`);
    if (inode.openCount === 1) this.#endOpenings(inode);
    else inode.openCount -= 1;
  }

  /** The kernel knows the inode no longer: openings that were not released are over. An unknown inode is no error. */
  forget(ino: Ino): void {
    const inode = this.#tree.inodes.get(ino);
    if (inode) this.#endOpenings(inode);
  }

  /** Fills `into` as far as the file goes; answers the count. @throws FsError EISDIR, EINVAL */
  read(ino: Ino, offset: number, into: Uint8Array): number {
    return readFile(this.#tree.store, this.#file(ino), offset, into);
  }

  /**
   * Writes all of `bytes`, which are copied, in one mini-transaction; at most WRITE_BYTES_MAX. Answers their count.
   * Set-user-id and set-group-id are taken away unless `keepSetId`, which is for callers with CAP_FSETID.
   * @throws FsError EISDIR, EINVAL, EFBIG, ENOSPC
   */
  write(ino: Ino, offset: number, bytes: Uint8Array, options: { keepSetId?: boolean } = {}): number {
    const inode = this.#file(ino);
    assert(bytes.length <= WRITE_BYTES_MAX, () => `${bytes.length} bytes in one write`);
    if (offset < 0) refuse('EINVAL', `offset ${offset}`);
    writeFile(this.#tree, inode, { offset, bytes, keepSetId: options.keepSetId ?? false });
    return bytes.length;
  }

  /** As fallocate(2); a reserved range costs no writes, whatever its length. @throws FsError EOPNOTSUPP, ENOSPC, … */
  allocate(ino: Ino, range: AllocateRange): void {
    allocateRange(this.#tree, this.#file(ino), range);
  }

  /**
   * Entries behind `cookie` (0: from the start), `.` and `..` first, at most `limit`. What is neither made nor removed
   * while a listing is read in parts appears in it exactly once.
   * @throws FsError ENOTDIR
   */
  list(ino: Ino, cookie = 0, limit = LIST_LIMIT): DirectoryEntry[] {
    const inode = directoryAt(this.#tree, ino);
    const dots = [
      { name: '.', ino, kind: inode.kind, cookie: 1 },
      { name: '..', ino: (inode.parent ?? inode).record.ino, kind: inode.kind, cookie: 2 },
    ].filter((dot) => dot.cookie > cookie);
    const entries = inode.directory?.listAfter(cookie, limit) ?? [];
    const listed = entries.map((entry) => {
      const { name, child, cookie: own } = entry;
      return { name, ino: child.record.ino, kind: child.kind, cookie: own };
    });
    return [...dots, ...listed].slice(0, limit);
  }

  statistics(): Statistics {
    const { pages, inodes } = this.#tree;
    const blocksFree = Math.max(0, pages.pagesMax - pages.usedPages);
    // An inode and its entry take two slots; more slots come from free pages.
    const inodesFree = Math.floor((blocksFree * (SLOTS_PER_PAGE - 1) + this.#tree.freeSlots.length) / 2);
    return {
      blockBytes: PAGE_SIZE,
      blocksTotal: pages.pagesMax,
      blocksFree,
      inodesTotal: inodes.size + inodesFree,
      inodesFree,
      nameBytesMax: NAME_BYTES_MAX,
    };
  }

  /** What fsync (or, with `dataOnly`, fdatasync) of this inode waits for: content, length, extents and names count for both. */
  ticketOf(ino: Ino, options: { dataOnly?: boolean } = {}): Ticket {
    const inode = this.#tree.inode(ino);
    return options.dataOnly ? inode.dataTicket : inode.ticket;
  }

  /** Writes what was kept back of this inode (its times; nothing with `dataOnly`). Answers what to wait for. */
  sync(ino: Ino, options: { dataOnly?: boolean } = {}): Ticket {
    const inode = this.#tree.inode(ino);
    if (!options.dataOnly && this.#tree.timesDirty.has(inode))
      transact(this.#tree, (change) => change.edit(inode));
    return this.ticketOf(ino, options);
  }

  /**
   * Writes all that was kept back: what syncfs and unmount wait for. The times of one inode do not depend on those of
   * another, so many of them are several mini-transactions; after NotReady the next call goes on with the rest.
   */
  syncAll(): Ticket {
    const { timesDirty, store } = this.#tree;
    while (timesDirty.size > 0) {
      transact(this.#tree, (change) => {
        for (const inode of timesDirty.first(SYNC_INODES)) change.edit(inode);
      });
    }
    return store.applied;
  }

  /** The pages of a file, in order of its blocks: for read-ahead and for tests. Holes are left out. */
  pagesOf(ino: Ino): { block: number; page: PageNumber; count: number; written: boolean }[] {
    return this.#tree
      .inode(ino)
      .extents.map(({ block, page, count, written }) => ({ block, page, count, written }));
  }

  #endOpenings(inode: Inode): void {
    if (inode.record.nlink === 0) transact(this.#tree, (change) => change.destroyInode(inode));
    inode.openCount = 0;
    this.#tree.pages.dropWindow(inode.record.ino);
  }

  #file(ino: Ino): Inode {
    const inode = this.#tree.inode(ino);
    if (inode.kind === 'directory') refuse('EISDIR', `inode ${ino} is a directory`);
    if (inode.kind !== 'file') refuse('EINVAL', `inode ${ino} is a ${inode.kind}`);
    return inode;
  }
}
