/**
 * What the server asks of a filesystem. Every operation is synchronous and atomic: it happened, or it threw and nothing
 * happened. Names are byte strings (one character a byte).
 *
 * An operation refuses by throwing an error for which `errnoOf` knows the number. It may also throw because something is
 * not in memory yet; then `readyAfter` says what to wait for, and the server runs the same operation again afterwards.
 */
/** Since 1970; the seconds may be negative, the nanoseconds are in [0, 1e9). */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface FileAttributes {
  readonly ino: number;
  /** Type and permission bits, as in stat(2). */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Space that the file takes, in units of 512 bytes. */
  readonly blocks: number;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
}

export interface AttributeChange {
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
  atime?: Time;
  mtime?: Time;
  /** The caller may not keep set-ID bits through this change of size. */
  killSetId?: boolean;
}

/** Who asks, and the permission bits for what is made (the umask is applied already). */
export interface Creation {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  /** Type and permission bits; only the type is looked at. */
  readonly mode: number;
  /** Where the list goes on after this entry. Positive. */
  readonly nextCookie: number;
}

export interface StatFs {
  readonly blockSizeBytes: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameBytesMax: number;
}

export interface FuseHandler {
  lookup(parent: number, name: string): FileAttributes;
  /** The kernel holds no reference to `ino` any more. */
  forget(ino: number): void;
  attributes(ino: number): FileAttributes;
  setAttributes(ino: number, change: AttributeChange): FileAttributes;
  /** A regular file, opened. @param options exclusive: refuse an existing one; else open it, cut off where `truncate` */
  create(
    parent: number,
    name: string,
    creation: Creation,
    options: { exclusive: boolean; truncate: boolean; killSetId: boolean },
  ): FileAttributes;
  /** A file that is not opened; refuses types that the filesystem does not have. */
  makeNode(parent: number, name: string, creation: Creation): FileAttributes;
  makeDirectory(parent: number, name: string, creation: Creation): FileAttributes;
  symlink(parent: number, name: string, target: string, owner: { uid: number; gid: number }): FileAttributes;
  readlink(ino: number): string;
  link(ino: number, parent: number, name: string): FileAttributes;
  unlink(parent: number, name: string): void;
  removeDirectory(parent: number, name: string): void;
  rename(from: DirectoryPlace, to: DirectoryPlace, options: { noReplace: boolean; exchange: boolean }): void;
  /** Once for each opening of a file or directory; it lives until as many `release`s came, linked or not. */
  open(ino: number, options: { truncate: boolean; killSetId: boolean }): void;
  release(ino: number): void;
  /** Fills `into` from `offset` on and says how much there was. Holes read as zeroes. */
  read(ino: number, offset: number, into: Uint8Array): number;
  /** All of `bytes`, which are only valid during the call. */
  write(ino: number, offset: number, bytes: Uint8Array, killSetId: boolean): void;
  allocate(
    ino: number,
    range: { offset: number; length: number; keepSize: boolean; punchHole: boolean; zeroRange: boolean },
  ): void;
  /** Entries from the cookie on (0: from the start), "." and ".." among them; more than `entriesMax` find no room. */
  list(ino: number, cookie: number, entriesMax: number): Iterable<DirectoryEntry>;
  statistics(): StatFs;
  /** Resolves when all that was done to `ino` survives a crash; undefined where it does already. */
  sync(ino: number, dataOnly: boolean): Promise<void> | undefined;
  /** The same for everything. */
  syncAll(): Promise<void> | undefined;
  /** The error number of a refusal, or undefined for an error that is none. */
  errnoOf(error: unknown): number | undefined;
  /** What to wait for before the operation that threw `error` is run again, or undefined where waiting is no help. */
  readyAfter(error: unknown): Promise<void> | undefined;
}

export interface DirectoryPlace {
  readonly parent: number;
  readonly name: string;
}
