/**
 * Where the database lies on the volume: `/pglite` holds PostgreSQL's data directory, `/pglite.ready` says that it is
 * whole. The mark is written last, as an operation of its own; operations survive a crash in order; so a data directory
 * without the mark is one whose making was cut off, and is cleared away before the next attempt.
 */
import { nameFromUtf8, ROOT_INO, type FileSystem, type Ino } from '@rokka/filesystem';
import { blockUntilReady, type NotReady } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import { namesIn } from './emscripten-filesystem.ts';

const DIRECTORY = nameFromUtf8('pglite');
const MARK = nameFromUtf8('pglite.ready');
const DRAFT = nameFromUtf8('pglite.making');
const LOCK = nameFromUtf8('postmaster.pid');
const MARK_BYTES_MAX = 4096;

/** What made the database, and for whom. A database opens only with the same major version of PostgreSQL. */
export interface DataDirectoryMark {
  readonly postgresMajor: number;
  readonly user: string;
  readonly database: string;
}

export class DataDirectory {
  readonly #files: FileSystem;
  readonly #provide: (lacking: NotReady) => void;

  constructor(files: FileSystem, provide: (lacking: NotReady) => void) {
    this.#files = files;
    this.#provide = provide;
  }

  /** The mark, or undefined where no whole database is there. */
  mark(): DataDirectoryMark | undefined {
    const ino = this.#find(ROOT_INO, MARK);
    if (ino === undefined) return undefined;
    const bytes = new Uint8Array(MARK_BYTES_MAX);
    const length = this.#do(() => this.#files.read(ino, 0, bytes));
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    try {
      return JSON.parse(text) as DataDirectoryMark;
    } catch (cause) {
      throw databaseErrors.DATABASE_DIRECTORY_FOREIGN([JSON.stringify(text), 'PGlite'], { cause });
    }
  }

  /** An empty data directory; what an earlier attempt left is removed. */
  clear(): Ino {
    const left = this.#find(ROOT_INO, DIRECTORY);
    if (left !== undefined) {
      this.#empty(left);
      this.#do(() => this.#files.removeDirectory(ROOT_INO, DIRECTORY));
    }
    const made = { mode: 0o700, uid: 0, gid: 0 };
    return this.#do(() => this.#files.makeDirectory(ROOT_INO, DIRECTORY, made)).ino;
  }

  /**
   * The data directory of a whole database. A crash between the making of PostgreSQL's lock file and the writing of it left
   * an empty one, with which it would never start again: it cannot tell whether another server is just starting. Here
   * none is, so it is removed.
   */
  open(): Ino {
    const directory = this.#files.lookup(ROOT_INO, DIRECTORY).ino;
    const lock = this.#find(directory, LOCK);
    if (lock !== undefined && this.#files.attributes(lock).sizeBytes === 0)
      this.#do(() => this.#files.unlink(directory, LOCK));
    return directory;
  }

  /** Declares the database whole. The mark gets its content before its name, so it is never found empty. */
  setMark(mark: DataDirectoryMark): void {
    const old = this.#find(ROOT_INO, DRAFT);
    if (old !== undefined) this.#do(() => this.#files.unlink(ROOT_INO, DRAFT));
    const made = { mode: 0o600, uid: 0, gid: 0 };
    const { ino } = this.#do(() => this.#files.create(ROOT_INO, DRAFT, made));
    this.#do(() => this.#files.write(ino, 0, new TextEncoder().encode(JSON.stringify(mark))));
    this.#do(() => this.#files.rename(ROOT_INO, DRAFT, ROOT_INO, MARK));
  }

  #find(parent: Ino, name: string): Ino | undefined {
    return namesIn(this.#files, parent).includes(name) ? this.#files.lookup(parent, name).ino : undefined;
  }

  #empty(directory: Ino): void {
    for (const name of namesIn(this.#files, directory)) {
      const { ino, kind } = this.#files.lookup(directory, name);
      if (kind === 'directory') this.#empty(ino);
      this.#do(() =>
        kind === 'directory'
          ? this.#files.removeDirectory(directory, name)
          : this.#files.unlink(directory, name),
      );
    }
  }

  /** One operation, repeated until the volume has what it needs: an operation that lacked something has changed nothing. */
  #do<T>(operation: () => T): T {
    return blockUntilReady(operation, this.#provide);
  }
}
