/** The filesystem of a volume, made to look like a directory: each step changes what is different, and nothing else. */
import type { Attributes, DirectoryEntry, FileSystem, Ino } from '@rokka/filesystem';
import { type AsyncPageStore, whenReady } from '@rokka/volume';

/** Of a file, a directory or a link as it is to be. */
export type Wanted = Pick<Attributes, 'mode' | 'uid' | 'gid' | 'mtime'>;

export interface StateTreeOptions {
  readonly filesystem: FileSystem;
  readonly store: AsyncPageStore;
  readonly signal: AbortSignal;
}

/** Nobody else may read what is being written. */
const WHILE_MADE = 0o600;

export class StateTree {
  readonly #options: StateTreeOptions;

  constructor(options: StateTreeOptions) {
    this.#options = options;
  }

  async directory(parent: Ino, name: string, wanted: Wanted): Promise<Ino> {
    const { filesystem } = this.#options;
    const found = await this.#found(parent, name, 'directory');
    const made = found ?? (await this.#do(() => filesystem.makeDirectory(parent, name, wanted)));
    return made.ino;
  }

  /**
   * What is there is written over in place: bytes that stay the same cost nothing.
   * @param content in order; all of it is the file
   */
  async file(
    parent: Ino,
    name: string,
    of: { content: AsyncIterable<Uint8Array> } & Wanted,
  ): Promise<number> {
    const { filesystem } = this.#options;
    const { content, uid, gid } = of;
    const owner = { mode: WHILE_MADE, uid, gid };
    const found = await this.#found(parent, name, 'file');
    const { ino } = found ?? (await this.#do(() => filesystem.create(parent, name, owner)));
    // A mode that has become stricter counts before what it is to protect is there.
    await this.#do(() => filesystem.setAttributes(ino, owner));
    let sizeBytes = 0;
    for await (const bytes of content) {
      const at = sizeBytes;
      await this.#do(() => filesystem.write(ino, at, bytes));
      sizeBytes += bytes.length;
    }
    await this.#do(() => filesystem.setAttributes(ino, { sizeBytes }));
    await this.dress(ino, of);
    return sizeBytes;
  }

  async link(parent: Ino, name: string, of: { target: string } & Wanted): Promise<void> {
    const { filesystem } = this.#options;
    const found = await this.#found(parent, name, 'symlink');
    if (found && (await this.#do(() => filesystem.readlink(found.ino))) === of.target) return;
    if (found) await this.#do(() => filesystem.unlink(parent, name));
    await this.#do(() => filesystem.symlink(parent, name, of.target, of));
  }

  /** Owner, mode and time; the last of these after all that would change it. */
  async dress(ino: Ino, { mode, uid, gid, mtime }: Wanted): Promise<void> {
    const { filesystem } = this.#options;
    const now = await this.#do(() => filesystem.attributes(ino));
    // The bits of the kind are in what a filesystem tells.
    const isSame = (now.mode & 0o7777) === (mode & 0o7777) && now.uid === uid && now.gid === gid;
    if (!isSame) await this.#do(() => filesystem.setAttributes(ino, { mode, uid, gid }));
    await this.#do(() => filesystem.setAttributes(ino, { mtime }));
  }

  /** Everything else in the directory goes. */
  async keepOnly(directory: Ino, names: ReadonlySet<string>): Promise<void> {
    for (const entry of await this.#entries(directory))
      if (!names.has(entry.name)) await this.#remove(directory, entry);
  }

  /** All of it is on four of six nodes. */
  async durable(): Promise<void> {
    const { filesystem, store } = this.#options;
    await store.whenDurable(await this.#do(() => filesystem.syncAll()));
  }

  /** Of the kind; what is of another kind goes. */
  async #found(parent: Ino, name: string, kind: Attributes['kind']): Promise<Attributes | undefined> {
    const { filesystem } = this.#options;
    const entry = (await this.#entries(parent)).find((each) => each.name === name);
    if (!entry) return undefined;
    if (entry.kind === kind) return this.#do(() => filesystem.attributes(entry.ino));
    await this.#remove(parent, entry);
    return undefined;
  }

  async #remove(parent: Ino, { name, ino, kind }: DirectoryEntry): Promise<void> {
    const { filesystem } = this.#options;
    if (kind !== 'directory') return this.#do(() => filesystem.unlink(parent, name));
    await this.keepOnly(ino, new Set());
    return this.#do(() => filesystem.removeDirectory(parent, name));
  }

  async #entries(directory: Ino): Promise<DirectoryEntry[]> {
    const { filesystem } = this.#options;
    const all: DirectoryEntry[] = [];
    for (let cookie = 0; ;) {
      const at = cookie;
      const some = await this.#do(() => filesystem.list(directory, at));
      if (some.length === 0) return all.filter(({ name }) => name !== '.' && name !== '..');
      all.push(...some);
      cookie = some.at(-1)?.cookie ?? 0;
    }
  }

  #do<T>(operation: () => T): Promise<T> {
    const { store, signal } = this.#options;
    return whenReady(store, operation, signal);
  }
}
