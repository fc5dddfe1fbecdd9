/** The random operations of the differential tests, as data, so that a failing run can be printed and cut down. */
import { PAGE_SIZE, type SeededRandom, unreachable } from '@rokka/kernel';

export type Step =
  | { op: 'create' | 'makeDirectory' | 'changeMode'; path: string; mode: number }
  | { op: 'unlink' | 'removeDirectory' | 'list' | 'readlink' | 'sync'; path: string }
  | { op: 'symlink'; path: string; target: string }
  | { op: 'link' | 'rename' | 'renameFresh' | 'exchange'; path: string; to: string }
  | { op: 'write'; file: FileReference; offset: number; length: number; fill: number }
  | { op: 'read'; file: FileReference; offset: number; length: number }
  | { op: 'resize'; file: FileReference; size: number }
  | {
      op: 'reserve' | 'punch' | 'zero';
      file: FileReference;
      offset: number;
      length: number;
      keepSize: boolean;
    }
  | { op: 'open'; path: string; handle: number }
  | { op: 'close'; handle: number };

/** A file by its path, or by the number of a handle. */
export type FileReference = string | number;
export type StepKind = Step['op'];

/** One side of a comparison. */
export interface Actor {
  /** Carries a step out: `ok`, what was read, or the name of the errno. */
  perform(step: Step): string;
  /** One line for everything under the root, in order of paths. */
  dump(): string[];
}

/** Ends a step with the name of an errno: of the model, or of what a kernel refuses before it asks a filesystem. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export function refuseStep(code: string): never {
  throw new Refusal(code);
}

const NAMES = ['a', 'b', 'c', 'd'];
const HANDLES = 3;
const KNOWN_MAX = 12;

const COMMON: readonly [StepKind, number][] = [
  ['create', 12],
  ['makeDirectory', 8],
  ['changeMode', 2],
  ['unlink', 5],
  ['removeDirectory', 4],
  ['list', 2],
  ['readlink', 1],
  ['symlink', 3],
  ['link', 5],
  ['rename', 10],
  ['write', 30],
  ['read', 6],
  ['resize', 7],
  ['open', 8],
  ['close', 3],
];
/** What node:fs cannot ask of a real directory. */
const OWN: readonly [StepKind, number][] = [
  ['renameFresh', 2],
  ['exchange', 4],
  ['reserve', 4],
  ['punch', 4],
  ['zero', 4],
  ['sync', 2],
];

/** Makes steps, and remembers paths that came to be, since random ones alone would mostly name nothing. */
export class StepMaker {
  readonly #random: SeededRandom;
  readonly #weights: readonly [StepKind, number][];
  readonly #files: string[] = [];
  readonly #others: string[] = [];

  constructor(random: SeededRandom, options: { portable: boolean }) {
    this.#random = random;
    this.#weights = options.portable ? COMMON : [...COMMON, ...OWN];
  }

  next(): Step {
    let left = this.#random.below(this.#weights.reduce((sum, [, weight]) => sum + weight, 0));
    const [op] = this.#weights.find(([, weight]) => (left -= weight) < 0) ?? this.#weights[0];
    return this.#fill(op);
  }

  /** The step was answered `ok`. */
  succeeded(step: Step): void {
    if (step.op === 'write' && typeof step.file === 'string') this.#learn(this.#files, step.file);
    if ('to' in step) this.#learn(this.#others, step.to);
    if (step.op === 'create') this.#learn(this.#files, step.path);
    if (step.op === 'makeDirectory' || step.op === 'symlink') this.#learn(this.#others, step.path);
  }

  #learn(known: string[], path: string): void {
    if (known.length < KNOWN_MAX) known.push(path);
    else known[this.#random.below(KNOWN_MAX)] = path;
  }

  #fill(op: StepKind): Step {
    const random = this.#random;
    switch (op) {
      case 'create':
      case 'makeDirectory':
      case 'changeMode':
        return { op, path: this.#path(op !== 'changeMode'), mode: 0o600 + random.below(0o100) };
      case 'unlink':
      case 'removeDirectory':
      case 'list':
      case 'readlink':
      case 'sync':
        return { op, path: this.#path() };
      case 'symlink': {
        const length = random.chance(0.2) ? 400 + random.below(3000) : 1 + random.below(40);
        return { op, path: this.#path(true), target: 'nowhere/'.padEnd(length + 8, 'x') };
      }
      case 'link':
      case 'rename':
      case 'renameFresh':
      case 'exchange':
        return { op, path: this.#path(), to: this.#path(op === 'link' || op === 'renameFresh') };
      case 'write':
        return { op, file: this.#file(), ...this.#range(), fill: 1 + random.below(255) };
      case 'read':
        return { op, file: this.#file(), ...this.#range() };
      case 'resize':
        return { op, file: this.#file(), size: this.#range().offset };
      case 'reserve':
      case 'punch':
      case 'zero':
        return { op, file: this.#file(), ...this.#range(), keepSize: op === 'punch' || random.chance(0.5) };
      case 'open':
        return { op, path: this.#path(), handle: random.below(HANDLES) };
      case 'close':
        return { op, handle: random.below(HANDLES) };
      default:
        return unreachable(op);
    }
  }

  #path(fresh = false): string {
    const known = this.#random.chance(0.5) ? this.#files : this.#others;
    if (known.length > 0 && this.#random.chance(fresh ? 0.1 : 0.8)) return this.#random.pick(known);
    const depth = this.#random.pick([1, 1, 2, 2, 3]);
    return Array.from({ length: depth }, () => this.#random.pick(NAMES)).join('/');
  }

  #file(): FileReference {
    if (this.#random.chance(0.3)) return this.#random.below(HANDLES);
    return this.#files.length > 0 && this.#random.chance(0.9) ? this.#random.pick(this.#files) : this.#path();
  }

  #range(): { offset: number; length: number } {
    const random = this.#random;
    const offset = random.chance(0.6) ? random.below(40) * PAGE_SIZE : random.below(40 * PAGE_SIZE);
    if (random.chance(0.5)) return { offset, length: PAGE_SIZE };
    if (random.chance(0.02)) return { offset, length: 1 << 20 };
    return { offset, length: 1 + random.below(random.chance(0.5) ? 200 : 5 * PAGE_SIZE) };
  }
}

/** What a write step writes: not the same byte twice in a row, so that shifted content is seen. */
export function contentOf({ length, fill }: { length: number; fill: number }): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((fill + i * 7 + (i >>> 8)) % 255);
  return bytes;
}
