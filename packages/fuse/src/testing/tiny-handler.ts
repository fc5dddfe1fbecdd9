/**
 * The smallest filesystem that a session can serve: one directory of files in memory. For tests of the protocol; each
 * operation can be made to fail or to wait (`before`), and what was written can be seen (`writes`).
 */
import type { Creation, DirectoryEntry, FileAttributes, FuseHandler } from '../handler.ts';
import { ERRNO, ROOT_ID, S_IFDIR, S_IFREG } from '../protocol.ts';

export class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`error ${errno}`);
    this.errno = errno;
  }
}

/** Thrown where the operation shall run again after `ready`. */
export class NotYet extends Error {
  readonly ready: Promise<void>;

  constructor(ready: Promise<void>) {
    super('not yet');
    this.ready = ready;
  }
}

const TIME = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

export class TinyHandler implements FuseHandler {
  readonly files = new Map<string, { ino: number; bytes: Buffer }>();
  readonly writes: { ino: number; offset: number; length: number }[] = [];
  readonly forgotten: number[] = [];
  /** Called first in every operation; may throw. */
  before: (operation: string) => void = () => {};
  /** What `sync` answers. */
  durable: Promise<void> | undefined;
  #nextIno = 2;

  lookup(_parent: number, name: string): FileAttributes {
    this.before('lookup');
    const file = this.files.get(name) ?? this.#refuse(ERRNO.ENOENT);
    return this.attributes(file.ino);
  }

  forget(ino: number): void {
    this.before('forget');
    this.forgotten.push(ino);
  }

  attributes(ino: number): FileAttributes {
    this.before('attributes');
    const directory = ino === ROOT_ID;
    const sizeBytes = directory ? 0 : this.#byIno(ino).bytes.length;
    return {
      ino,
      mode: directory ? S_IFDIR | 0o755 : S_IFREG | 0o644,
      links: directory ? 2 : 1,
      uid: 0,
      gid: 0,
      sizeBytes,
      blocks: Math.ceil(sizeBytes / 512),
      atime: TIME,
      mtime: TIME,
      ctime: TIME,
    };
  }

  setAttributes(ino: number, change: { sizeBytes?: number }): FileAttributes {
    this.before('setAttributes');
    if (change.sizeBytes !== undefined) {
      const file = this.#byIno(ino);
      file.bytes = Buffer.concat([file.bytes, Buffer.alloc(change.sizeBytes)]).subarray(0, change.sizeBytes);
    }
    return this.attributes(ino);
  }

  create(_parent: number, name: string, _creation: Creation): FileAttributes {
    this.before('create');
    const ino = this.#nextIno++;
    this.files.set(name, { ino, bytes: Buffer.alloc(0) });
    return this.attributes(ino);
  }

  unlink(_parent: number, name: string): void {
    this.before('unlink');
    if (!this.files.delete(name)) this.#refuse(ERRNO.ENOENT);
  }

  open(): void {
    this.before('open');
  }

  release(): void {}

  read(ino: number, offset: number, into: Uint8Array): number {
    this.before('read');
    const part = this.#byIno(ino).bytes.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  }

  write(ino: number, offset: number, bytes: Uint8Array): void {
    this.before('write');
    const file = this.#byIno(ino);
    const end = Math.max(file.bytes.length, offset + bytes.length);
    file.bytes = Buffer.concat([file.bytes, Buffer.alloc(end - file.bytes.length)]);
    file.bytes.set(bytes, offset);
    this.writes.push({ ino, offset, length: bytes.length });
  }

  *list(_ino: number, cookie: number): Iterable<DirectoryEntry> {
    const entries = [
      { name: '.', ino: ROOT_ID, mode: S_IFDIR },
      { name: '..', ino: ROOT_ID, mode: S_IFDIR },
      ...[...this.files].map(([name, { ino }]) => ({ name, ino, mode: S_IFREG })),
    ];
    for (const [at, entry] of entries.entries()) if (at >= cookie) yield { ...entry, nextCookie: at + 1 };
  }

  statistics() {
    return { blockSizeBytes: 8192, blocks: 10, blocksFree: 7, files: 5, filesFree: 3, nameBytesMax: 255 };
  }

  sync(): Promise<void> | undefined {
    this.before('sync');
    return this.durable;
  }

  syncAll(): Promise<void> | undefined {
    return this.durable;
  }

  makeNode = (): never => this.#refuse(ERRNO.EPERM);
  makeDirectory = (): never => this.#refuse(ERRNO.EPERM);
  symlink = (): never => this.#refuse(ERRNO.EPERM);
  readlink = (): never => this.#refuse(ERRNO.EINVAL);
  link = (): never => this.#refuse(ERRNO.EPERM);
  removeDirectory = (): never => this.#refuse(ERRNO.EPERM);
  rename = (): never => this.#refuse(ERRNO.EPERM);
  allocate = (): never => this.#refuse(ERRNO.EOPNOTSUPP);

  errnoOf(error: unknown): number | undefined {
    return error instanceof Refusal ? error.errno : undefined;
  }

  readyAfter(error: unknown): Promise<void> | undefined {
    return error instanceof NotYet ? error.ready : undefined;
  }

  #byIno(ino: number): { bytes: Buffer } {
    for (const file of this.files.values()) if (file.ino === ino) return file;
    return this.#refuse(ERRNO.ENOENT);
  }

  #refuse(errno: number): never {
    throw new Refusal(errno);
  }
}
