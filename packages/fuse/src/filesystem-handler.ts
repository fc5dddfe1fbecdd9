/**
 * A FileSystem on a volume, as the session wants it. The filesystem does the work; here stands what belongs to the kernel's
 * view of it: open counts, creation of what exists already, and which errors are a caller's and which are the volume's.
 */
import { FsError, type Attributes, type FileSystem, type Ino } from '@rokka/filesystem';
import { isCoded } from '@rokka/kernel';
import { NotReady, type AsyncPageStore, type Ticket } from '@rokka/volume';
import type {
  AttributeChange,
  Creation,
  DirectoryEntry,
  DirectoryPlace,
  FileAttributes,
  FuseHandler,
  StatFs,
} from './handler.ts';
import { ERRNO, S_IFDIR, S_IFLNK, S_IFREG } from './protocol.ts';

const ino = (value: number): Ino => value as Ino;
const MODE_OF_KIND = { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK } as const;
/** stat(2) counts space in sectors. */
const SECTOR_BYTES = 512;

export class FileSystemHandler implements FuseHandler {
  readonly #filesystem: FileSystem;
  readonly #store: AsyncPageStore;

  /** @param options store: the one that the filesystem lies on */
  constructor(options: { filesystem: FileSystem; store: AsyncPageStore }) {
    this.#filesystem = options.filesystem;
    this.#store = options.store;
  }

  lookup(parent: number, name: string): FileAttributes {
    return kernelView(this.#filesystem.lookup(ino(parent), name));
  }

  forget(node: number): void {
    this.#filesystem.forget(ino(node));
  }

  attributes(node: number): FileAttributes {
    return kernelView(this.#filesystem.attributes(ino(node)));
  }

  setAttributes(node: number, change: AttributeChange): FileAttributes {
    const { killSetId = false, ...wanted } = change;
    return kernelView(this.#filesystem.setAttributes(ino(node), { ...wanted, keepSetId: !killSetId }));
  }

  create(
    parent: number,
    name: string,
    creation: Creation,
    options: { exclusive: boolean; truncate: boolean; killSetId: boolean },
  ): FileAttributes {
    const made = this.#createOrFind(ino(parent), name, creation, options);
    this.#filesystem.open(made.ino);
    return kernelView(made);
  }

  makeNode(parent: number, name: string, creation: Creation): FileAttributes {
    return kernelView(this.#filesystem.makeNode(ino(parent), name, creation));
  }

  makeDirectory(parent: number, name: string, creation: Creation): FileAttributes {
    return kernelView(this.#filesystem.makeDirectory(ino(parent), name, creation));
  }

  symlink(parent: number, name: string, target: string, owner: { uid: number; gid: number }): FileAttributes {
    return kernelView(this.#filesystem.symlink(ino(parent), name, target, owner));
  }

  readlink(node: number): string {
    return this.#filesystem.readlink(ino(node));
  }

  link(node: number, parent: number, name: string): FileAttributes {
    return kernelView(this.#filesystem.link(ino(node), ino(parent), name));
  }

  unlink(parent: number, name: string): void {
    this.#filesystem.unlink(ino(parent), name);
  }

  removeDirectory(parent: number, name: string): void {
    this.#filesystem.removeDirectory(ino(parent), name);
  }

  rename(from: DirectoryPlace, to: DirectoryPlace, options: { noReplace: boolean; exchange: boolean }): void {
    this.#filesystem.rename(ino(from.parent), from.name, ino(to.parent), to.name, options);
  }

  /** The opening is counted last: an attempt that has to wait must not have counted. */
  open(node: number, options: { truncate: boolean; killSetId: boolean }): void {
    if (options.truncate)
      this.#filesystem.setAttributes(ino(node), { sizeBytes: 0, keepSetId: !options.killSetId });
    this.#filesystem.open(ino(node));
  }

  release(node: number): void {
    this.#filesystem.release(ino(node));
  }

  read(node: number, offset: number, into: Uint8Array): number {
    return this.#filesystem.read(ino(node), offset, into);
  }

  write(node: number, offset: number, bytes: Uint8Array, killSetId: boolean): void {
    this.#filesystem.write(ino(node), offset, bytes, killSetId ? KILL_SET_ID : KEEP_SET_ID);
  }

  allocate(
    node: number,
    range: { offset: number; length: number; keepSize: boolean; punchHole: boolean; zeroRange: boolean },
  ): void {
    this.#filesystem.allocate(ino(node), range);
  }

  *list(node: number, cookie: number, entriesMax: number): Iterable<DirectoryEntry> {
    for (const entry of this.#filesystem.list(ino(node), cookie, entriesMax)) {
      yield {
        name: entry.name,
        ino: entry.ino,
        mode: MODE_OF_KIND[entry.kind],
        nextCookie: entry.cookie,
      };
    }
  }

  statistics(): StatFs {
    const { blockBytes, blocksTotal, blocksFree, inodesTotal, inodesFree, nameBytesMax } =
      this.#filesystem.statistics();
    return {
      blockSizeBytes: blockBytes,
      blocks: blocksTotal,
      blocksFree,
      files: inodesTotal,
      filesFree: inodesFree,
      nameBytesMax,
    };
  }

  sync(node: number, dataOnly: boolean): Promise<void> | undefined {
    return this.#whenDurable(this.#filesystem.sync(ino(node), { dataOnly }));
  }

  syncAll(): Promise<void> | undefined {
    return this.#whenDurable(this.#filesystem.syncAll());
  }

  errnoOf(error: unknown): number | undefined {
    if (error instanceof FsError) return error.errno;
    return isCoded(error, 'VOLUME_FULL') ? ERRNO.ENOSPC : undefined;
  }

  readyAfter(error: unknown): Promise<void> | undefined {
    return error instanceof NotReady ? this.#store.prepare(error) : undefined;
  }

  #whenDurable(ticket: Ticket): Promise<void> | undefined {
    return this.#store.durable >= ticket ? undefined : this.#store.whenDurable(ticket);
  }

  /** The kernel asks to create what it did not find; another process may have been faster. */
  #createOrFind(
    parent: Ino,
    name: string,
    creation: Creation,
    options: { exclusive: boolean; truncate: boolean; killSetId: boolean },
  ): Attributes {
    try {
      return this.#filesystem.create(parent, name, creation);
    } catch (error) {
      if (this.errnoOf(error) !== ERRNO.EEXIST || options.exclusive) throw error;
    }
    const found = this.#filesystem.lookup(parent, name);
    if (!options.truncate) return found;
    return this.#filesystem.setAttributes(found.ino, { sizeBytes: 0, keepSetId: !options.killSetId });
  }
}

const KILL_SET_ID = { keepSetId: false } as const;
const KEEP_SET_ID = { keepSetId: true } as const;

function kernelView(attributes: Attributes): FileAttributes {
  return {
    ino: attributes.ino,
    mode: attributes.mode,
    links: attributes.nlink,
    uid: attributes.uid,
    gid: attributes.gid,
    sizeBytes: attributes.sizeBytes,
    blocks: attributes.allocatedBytes / SECTOR_BYTES,
    atime: attributes.atime,
    mtime: attributes.mtime,
    ctime: attributes.ctime,
  };
}
