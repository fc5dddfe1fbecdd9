/**
 * The volume's files as a filesystem type of Emscripten, mounted where PGlite keeps its data. Calls are synchronous, each
 * one operation of the filesystem, each atomic and in order: a page that PostgreSQL writes is one mini-transaction, so it
 * runs without full-page writes; a prefix of the calls is what a crash leaves, so it runs without fsync.
 *
 * Fault model: WebAssembly must see no exception but FS.ErrnoError, since what it does not know it retries for ever. What
 * concerns one call (no space, an unreadable page) is an errno. Where the volume itself is gone, or we have a bug,
 * `halt` never returns: the thread sleeps until its owner has killed it, and nothing more is acknowledged.
 */
import { isCoded } from '@rokka/kernel';
import {
  fileTimeToMs,
  FsError,
  nameFromUtf8,
  nameToUtf8,
  type FileSystem,
  type Ino,
} from '@rokka/filesystem';
import { blockUntilReady, type NotReady } from '@rokka/volume';
import { WASI_EINVAL, WASI_EIO, WASI_ENOSPC, WASI_EOPNOTSUPP, wasiErrno } from './emscripten-errno.ts';
import type { EmscriptenNode, EmscriptenStream, PgliteModule } from './pglite-module.ts';

type Node = EmscriptenNode & { ino: Ino };
type Stream = EmscriptenStream & { node: Node };
type Heap = { readonly buffer: ArrayBufferLike; readonly byteOffset: number };

interface WantedAttributes {
  readonly mode?: number | null;
  readonly size?: number | null;
  readonly atime?: number | Date | null;
  readonly mtime?: number | Date | null;
}

const SEEK_CURRENT = 1;
const SEEK_END = 2;
const BLOCK_BYTES = 4096;

export interface MountOptions {
  readonly files: FileSystem;
  /** The directory that is mounted. */
  readonly root: Ino;
  /** Blocks until the volume has what an operation lacked. */
  readonly provide: (lacking: NotReady) => void;
  /** Runs before each call: PostgreSQL cannot be interrupted, so it is here that a cancel reaches it. */
  readonly poll: () => void;
  /** Takes an error after which nothing may go on. */
  readonly halt: (error: unknown) => never;
}

/** The filesystem type for `FS.mount`. */
export function emscriptenFilesystem(module: PgliteModule, options: MountOptions): object {
  const calls = new Calls(module, options);
  return {
    mount: () => calls.node(null, '/', options.root),
    syncfs: (_mount: unknown, _populate: boolean, done: (error: null) => void) => done(null),
  };
}

class Calls {
  readonly #module: PgliteModule;
  readonly #options: MountOptions;
  readonly #files: FileSystem;

  constructor(module: PgliteModule, options: MountOptions) {
    this.#module = module;
    this.#options = options;
    this.#files = options.files;
  }

  node(parent: Node | null, name: string, ino: Ino): Node {
    const { mode } = this.#try(() => this.#files.attributes(ino));
    const node = this.#module.FS.createNode(parent, name, mode) as Node;
    node.ino = ino;
    node.node_ops = this.#nodeOperations;
    node.stream_ops = this.#module.FS.isDir(mode) ? this.#directoryStream : this.#fileStream;
    return node;
  }

  readonly #nodeOperations = {
    getattr: (node: Node) => this.#try(() => this.#attributes(node)),
    setattr: (node: Node, wanted: WantedAttributes) => this.#try(() => this.#setAttributes(node, wanted)),
    lookup: (parent: Node, name: string) => {
      const { ino } = this.#try(() => this.#files.lookup(parent.ino, nameFromUtf8(name)));
      return this.node(parent, name, ino);
    },
    mknod: (parent: Node, name: string, mode: number) => {
      const made = { mode: mode & 0o7777, uid: 0, gid: 0 };
      const { ino } = this.#try(() =>
        this.#module.FS.isDir(mode)
          ? this.#files.makeDirectory(parent.ino, nameFromUtf8(name), made)
          : this.#files.create(parent.ino, nameFromUtf8(name), made),
      );
      return this.node(parent, name, ino);
    },
    rename: (node: Node, newParent: Node, newName: string) => {
      this.#try(() =>
        this.#files.rename(
          (node.parent as Node).ino,
          nameFromUtf8(node.name),
          newParent.ino,
          nameFromUtf8(newName),
        ),
      );
      node.name = newName;
    },
    unlink: (parent: Node, name: string) =>
      this.#try(() => this.#files.unlink(parent.ino, nameFromUtf8(name))),
    rmdir: (parent: Node, name: string) =>
      this.#try(() => this.#files.removeDirectory(parent.ino, nameFromUtf8(name))),
    readdir: (node: Node) => this.#try(() => ['.', '..', ...namesIn(this.#files, node.ino).map(nameToUtf8)]),
    symlink: () => this.#refuse(WASI_EOPNOTSUPP),
    readlink: () => this.#refuse(WASI_EINVAL),
  };

  readonly #directoryStream = {
    // Relative seeks must work on a directory too, else getdents reads it for ever.
    llseek: (stream: Stream, offset: number, whence: number) =>
      whence === SEEK_CURRENT ? offset + stream.position : offset,
  };

  readonly #fileStream = {
    open: (stream: Stream) => this.#try(() => this.#files.open(stream.node.ino)),
    dup: (stream: Stream) => this.#try(() => this.#files.open(stream.node.ino)),
    close: (stream: Stream) => this.#try(() => this.#files.release(stream.node.ino)),
    llseek: (stream: Stream, offset: number, whence: number) => {
      const position = offset + this.#seekBase(stream, whence);
      return position < 0 ? this.#refuse(WASI_EINVAL) : position;
    },
    read: (stream: Stream, heap: Heap, at: number, length: number, position: number) => {
      const into = new Uint8Array(heap.buffer, heap.byteOffset + at, length);
      return this.#try(() => this.#files.read(stream.node.ino, position, into));
    },
    write: (stream: Stream, heap: Heap, at: number, length: number, position: number) => {
      const bytes = new Uint8Array(heap.buffer, heap.byteOffset + at, length);
      return this.#try(() => this.#files.write(stream.node.ino, position, bytes));
    },
    mmap: (stream: Stream, length: number, position: number) => {
      const ptr = this.#module.mmapAlloc(length);
      this.#fileStream.read(stream, this.#module.HEAPU8, ptr, length, position);
      return { ptr, allocated: true };
    },
    msync: (stream: Stream, heap: Heap, at: number, length: number) => {
      this.#fileStream.write(stream, heap, 0, length, at);
      return 0;
    },
    // The engine runs with fsync off, and what it writes is in order: the reply waits for the volume, not the engine.
    fsync: () => 0,
  };

  #seekBase(stream: Stream, whence: number): number {
    if (whence === SEEK_CURRENT) return stream.position;
    if (whence === SEEK_END) return this.#try(() => this.#files.attributes(stream.node.ino).sizeBytes);
    return 0;
  }

  #attributes(node: Node): object {
    const found = this.#files.attributes(node.ino);
    return {
      dev: 1,
      ino: found.ino,
      mode: found.mode,
      nlink: found.nlink,
      uid: found.uid,
      gid: found.gid,
      rdev: 0,
      size: found.sizeBytes,
      atime: new Date(fileTimeToMs(found.atime)),
      mtime: new Date(fileTimeToMs(found.mtime)),
      ctime: new Date(fileTimeToMs(found.ctime)),
      blksize: BLOCK_BYTES,
      blocks: Math.ceil(found.allocatedBytes / 512),
    };
  }

  /** Times are left alone: nothing in the engine reads them. */
  #setAttributes(node: Node, wanted: WantedAttributes): void {
    const { mode, size } = wanted;
    if (typeof mode === 'number') {
      this.#files.setAttributes(node.ino, { mode: mode & 0o7777 });
      node.mode = mode;
    }
    if (typeof size === 'number' && size !== this.#files.attributes(node.ino).sizeBytes)
      this.#files.setAttributes(node.ino, { sizeBytes: size });
  }

  #try<T>(call: () => T): T {
    this.#options.poll();
    try {
      return blockUntilReady(call, this.#options.provide);
    } catch (error) {
      return this.#refuse(this.#errnoOf(error));
    }
  }

  #errnoOf(error: unknown): number {
    if (error instanceof FsError) return wasiErrno(error.errno);
    if (isCoded(error, 'VOLUME_UNREADABLE')) return WASI_EIO;
    if (isCoded(error, 'VOLUME_FULL')) return WASI_ENOSPC;
    return this.#options.halt(error);
  }

  #refuse(errno: number): never {
    throw new this.#module.FS.ErrnoError(errno);
  }
}

/** All names of a directory but `.` and `..`; the filesystem lists them in parts. */
export function namesIn(files: FileSystem, directory: Ino): string[] {
  const names: string[] = [];
  let cookie = 0;
  for (;;) {
    const entries = files.list(directory, cookie);
    if (entries.length === 0) return names;
    for (const entry of entries) {
      if (entry.name !== '.' && entry.name !== '..') names.push(entry.name);
      ({ cookie } = entry);
    }
  }
}
