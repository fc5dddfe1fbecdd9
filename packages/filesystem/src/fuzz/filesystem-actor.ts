/** Steps on a FileSystem, with a store that makes it wait as often as it can: pages are evicted, `apply` refuses. */
import { crc32, type SeededRandom, unreachable, VirtualClock } from '@rokka/kernel';
import { blockUntilReady, MemoryPageStore, NotReady, type PageWrite, type Ticket } from '@rokka/volume';
import type { Attributes } from '../attributes.ts';
import { FsError } from '../errors.ts';
import { FileSystem } from '../filesystem.ts';
import { ROOT_INO, type Ino } from '../layout.ts';
import { PERMISSIONS } from '../mode.ts';
import { contentOf, Refusal, refuseStep, type Actor, type FileReference, type Step } from './step.ts';

const OWNER = { uid: 0, gid: 0 };

/** Refuses at random to apply, and loses pages at random. */
export class FickleStore extends MemoryPageStore {
  readonly #random: SeededRandom;
  /** Probability of each refusal; 0 makes it an ordinary store. */
  refusals = 0;
  #refused = false;

  constructor(random: SeededRandom, options: { pagesPerGroup?: number; pagesMax?: number } = {}) {
    super(options);
    this.#random = random;
  }

  override apply(writes: readonly PageWrite[]): Ticket {
    // Never twice in a row, so that every operation ends.
    this.#refused = !this.#refused && this.#random.chance(this.refusals);
    if (this.#refused) throw new NotReady({ room: true });
    return super.apply(writes);
  }

  shake(): void {
    if (!this.#random.chance(this.refusals)) return;
    this.evict(this.pagesHeld().filter(() => this.#random.chance(0.5)));
  }
}

/** Runs an operation to its end; MemoryPageStore prepares before its promise is made. */
export function run<T>(store: MemoryPageStore, operation: () => T): T {
  return blockUntilReady(operation, (lacking) => void store.prepare(lacking));
}

export class FileSystemActor implements Actor {
  readonly store: MemoryPageStore;
  readonly fs: FileSystem;
  readonly #handles = new Map<number, Ino>();
  readonly #clock = new VirtualClock();

  /** Mounts what the store holds. */
  constructor(store: MemoryPageStore) {
    this.store = store;
    this.fs = FileSystem.mountBlocking(store, {
      clock: this.#clock,
      wait: (lacking) => void store.prepare(lacking),
    });
  }

  perform(step: Step): string {
    this.#clock.advanceTo(this.#clock.nowMs() + 1);
    try {
      return run(this.store, () => this.#run(step));
    } catch (error) {
      if (error instanceof FsError || error instanceof Refusal) return error.code;
      throw error;
    }
  }

  dump(): string[] {
    const lines: string[] = [];
    const visit = (ino: Ino, path: string): void => {
      const names = this.#names(ino).sort();
      for (const name of names) {
        const child = this.fs.lookup(ino, name);
        lines.push(this.#describe(child, `${path}/${name}`));
        if (child.kind === 'directory') visit(child.ino, `${path}/${name}`);
      }
    };
    visit(ROOT_INO, '');
    return lines;
  }

  #describe({ ino, kind, mode, nlink, sizeBytes }: Attributes, path: string): string {
    const permissions = (mode & PERMISSIONS).toString(8);
    if (kind === 'directory') return `${path} directory ${permissions}`;
    if (kind === 'symlink') return `${path} symlink ${nlink} ${run(this.store, () => this.fs.readlink(ino))}`;
    const bytes = new Uint8Array(sizeBytes);
    run(this.store, () => this.fs.read(ino, 0, bytes));
    return `${path} file ${permissions} ${nlink} ${sizeBytes} ${crc32(bytes)}`;
  }

  #run(step: Step): string {
    const { fs } = this;
    switch (step.op) {
      case 'create':
        fs.create(...this.#place(step.path), { mode: step.mode, ...OWNER });
        return 'ok';
      case 'makeDirectory':
        fs.makeDirectory(...this.#place(step.path), { mode: step.mode, ...OWNER });
        return 'ok';
      case 'symlink':
        fs.symlink(...this.#place(step.path), step.target, OWNER);
        return 'ok';
      case 'changeMode':
        fs.setAttributes(this.#followed(step.path).ino, { mode: step.mode });
        return 'ok';
      case 'link':
        fs.link(this.#attributes(step.path).ino, ...this.#place(step.to));
        return 'ok';
      case 'unlink':
        fs.unlink(...this.#place(step.path));
        return 'ok';
      case 'removeDirectory':
        fs.removeDirectory(...this.#place(step.path));
        return 'ok';
      case 'rename':
      case 'renameFresh':
      case 'exchange': {
        const options = { noReplace: step.op === 'renameFresh', exchange: step.op === 'exchange' };
        fs.rename(...this.#place(step.path), ...this.#place(step.to), options);
        return 'ok';
      }
      case 'list':
        return this.#names(this.#attributes(step.path).ino).sort().join();
      case 'readlink':
        return fs.readlink(this.#attributes(step.path).ino);
      case 'sync':
        fs.sync(this.#attributes(step.path).ino);
        return 'ok';
      case 'open':
        return this.#open(step.path, step.handle);
      case 'close':
        return this.#close(step.handle);
      case 'write':
      case 'read':
      case 'resize':
      case 'reserve':
      case 'punch':
      case 'zero':
        return this.#runOnFile(this.#file(step.file), step);
      default:
        return unreachable(step);
    }
  }

  #runOnFile(ino: Ino, step: Extract<Step, { file: FileReference }>): string {
    const { offset, length } = { offset: 0, length: 0, ...step };
    switch (step.op) {
      case 'write':
        this.fs.write(ino, offset, contentOf(step));
        return 'ok';
      case 'read': {
        const bytes = new Uint8Array(length).fill(0xee);
        const count = this.fs.read(ino, offset, bytes);
        return `${count} ${crc32(bytes.subarray(0, count))}`;
      }
      case 'resize':
        this.fs.setAttributes(ino, { sizeBytes: step.size });
        return 'ok';
      case 'reserve':
      case 'punch':
      case 'zero': {
        const how = {
          keepSize: step.keepSize,
          punchHole: step.op === 'punch',
          zeroRange: step.op === 'zero',
        };
        this.fs.allocate(ino, { offset, length, ...how });
        return 'ok';
      }
      default:
        return unreachable(step);
    }
  }

  /** The former file of the handle is closed by a step of its own operation, before the new one is opened. */
  #open(path: string, handle: number): string {
    const ino = this.#file(path);
    const former = this.#handles.get(handle);
    if (former !== undefined) {
      this.fs.release(former);
      this.#handles.delete(handle);
    }
    this.fs.open(ino);
    this.#handles.set(handle, ino);
    return 'ok';
  }

  #close(handle: number): string {
    const ino = this.#handles.get(handle);
    if (ino === undefined) return 'EBADF';
    this.fs.release(ino);
    this.#handles.delete(handle);
    return 'ok';
  }

  #file(file: FileReference): Ino {
    if (typeof file === 'number') return this.#handles.get(file) ?? refuseStep('EBADF');
    const { kind, ino } = this.#attributes(file);
    if (kind === 'symlink') refuseStep('ELOOP');
    return kind === 'file' ? ino : refuseStep('EISDIR');
  }

  #followed(path: string): Attributes {
    const attributes = this.#attributes(path);
    return attributes.kind === 'symlink' ? refuseStep('ELOOP') : attributes;
  }

  #names(ino: Ino): string[] {
    const names: string[] = [];
    for (let cookie = 0; ;) {
      const part = this.fs.list(ino, cookie, 3);
      for (const { name } of part) if (name !== '.' && name !== '..') names.push(name);
      if (part.length === 0) return names;
      cookie = part[part.length - 1].cookie;
    }
  }

  #attributes(path: string): Attributes {
    const [parent, name] = this.#place(path);
    return this.fs.lookup(parent, name);
  }

  #place(path: string): [Ino, string] {
    const names = path.split('/');
    const name = names.pop() as string;
    let at = ROOT_INO;
    for (const part of names) at = this.fs.lookup(at, part).ino;
    if (this.fs.attributes(at).kind !== 'directory') refuseStep('ENOTDIR');
    return [at, name];
  }
}
