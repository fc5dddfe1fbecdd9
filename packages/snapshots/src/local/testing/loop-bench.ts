/**
 * File systems that a test has made: a store of XFS with reflinks on a loop device, and others whose images lie on it. Whatever a test did
 * or did not come to, all of them are thawed, unmounted and their devices given back, by their own names.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock, systemRandom } from '@rokka/kernel';
import { type LocalFileSystems, localFileSystems } from '../filesystems.ts';

const STORE_BYTES = 2 ** 30;
const PROGRAMS = ['losetup', 'mkfs.ext4', 'mkfs.xfs', 'fsfreeze', 'dumpe2fs', 'mount', 'umount'];
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' };

export interface LoopFileSystem {
  readonly mountPoint: string;
  readonly device: string;
  readonly image: string;
}

export class LoopBench implements Disposable {
  /** Belongs to root alone. */
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-loop-'));
  readonly #made: LoopFileSystem[] = [];
  readonly #binds: string[] = [];
  readonly #onExit = () => this[Symbol.dispose]();

  /** @param test whose cleaning up it is as well: one that is late goes on for ever, and disposes of nothing */
  constructor(test?: Pick<TestContext, 'after'>) {
    test?.after(() => this[Symbol.dispose]());
    // Servers are started as an account of their own.
    fs.chmodSync(this.root, 0o755);
    fs.mkdirSync(this.data);
    // Also where the test's process ends before its cleaning up.
    process.on('exit', this.#onExit);
  }

  get data(): string {
    return path.join(this.root, 'data');
  }

  get listFile(): string {
    return path.join(this.root, 'data', 'local-filesystems');
  }

  get state(): string {
    return path.join(this.root, 'data', 'state');
  }

  store(): LoopFileSystem {
    return this.make('store', { type: 'xfs', directory: this.root, bytes: STORE_BYTES });
  }

  /** The image is sparse. */
  make(name: string, of: { type: 'ext4' | 'xfs'; directory: string; bytes?: number }): LoopFileSystem {
    const { type, directory, bytes = type === 'xfs' ? 320 * 2 ** 20 : 64 * 2 ** 20 } = of;
    const image = path.join(directory, `${name}.img`);
    fs.writeFileSync(image, '', { flag: 'wx', mode: 0o600 });
    fs.truncateSync(image, bytes);
    const flags = type === 'ext4' ? ['-q', '-F', '-E', 'nodiscard'] : ['-q', '-K', '-m', 'reflink=1'];
    demand(`mkfs.${type}`, ...flags, image);
    return this.#mount(name, image);
  }

  #mount(name: string, image: string): LoopFileSystem {
    const mountPoint = path.join(this.root, 'mnt', name);
    fs.mkdirSync(mountPoint, { recursive: true });
    const device = demand('losetup', '--find', '--show', image).trim();
    const made = { mountPoint, device, image };
    this.#made.push(made);
    demand('mount', device, mountPoint);
    return made;
  }

  bind(from: string, name: string): string {
    const to = path.join(this.root, 'mnt', name);
    fs.mkdirSync(to, { recursive: true });
    demand('mount', '--bind', from, to);
    this.#binds.push(to);
    return to;
  }

  /** A copy of the copy, mounted to be written, as whoever restores it does. */
  show(copy: string, name: string): string {
    const image = path.join(path.dirname(path.dirname(path.dirname(copy))), `${name}.img`);
    fs.copyFileSync(copy, image, fs.constants.COPYFILE_FICLONE_FORCE);
    return this.#mount(name, image).mountPoint;
  }

  /** A device of the image, mounted read-only, as it is: no journal is replayed. */
  look<T>(image: string, type: 'ext4' | 'xfs', at: (root: string) => T): T {
    const mountPoint = fs.mkdtempSync(path.join(this.root, 'look-'));
    const device = demand('losetup', '--find', '--show', '--read-only', image).trim();
    try {
      demand('mount', '-o', type === 'ext4' ? 'ro,noload' : 'ro,norecovery,nouuid', device, mountPoint);
      return at(mountPoint);
    } finally {
      run('umount', mountPoint);
      run('losetup', '--detach', device);
    }
  }

  /** Writes the owner's word, and answers with what reads it. */
  listed(mountPoints: readonly string[], of: { holdMs?: number; more?: string } = {}): LocalFileSystems {
    fs.writeFileSync(this.listFile, [...mountPoints, of.more ?? ''].join('\n'), { mode: 0o600 });
    return this.local(of);
  }

  local({ holdMs }: { holdMs?: number } = {}): LocalFileSystems {
    return localFileSystems({
      listFile: this.listFile,
      stateDirectory: this.state,
      dataDirectory: this.data,
      clock: systemClock,
      random: systemRandom,
      ...(holdMs !== undefined && { holdMs }),
    });
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#onExit);
    // All are thawed first, and again where a mount may have hidden one; that it is not frozen is no failure.
    const thaw = () => this.#made.forEach(({ mountPoint }) => run('fsfreeze', '-u', mountPoint));
    thaw();
    for (const bind of this.#binds.splice(0)) run('umount', bind);
    thaw();
    for (const { mountPoint, device } of [...this.#made].reverse()) {
      // What still has a file open there is a test's own, and it goes with the test.
      if (run('umount', mountPoint).status !== 0) run('umount', '--lazy', mountPoint);
      run('losetup', '--detach', device);
    }
    this.#made.length = 0;
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}

/** Why file systems cannot be made here; false where they can. It makes one to find out. */
export function skipWithoutLoops(): string | false {
  if (process.getuid?.() !== 0) return 'only root makes and freezes file systems';
  const missing = PROGRAMS.find((program) => run('which', program).status !== 0);
  if (missing) return `there is no ${missing}`;
  using bench = new LoopBench();
  try {
    bench.store();
    return false;
  } catch (error) {
    return `loop devices or XFS are not to be had here: ${(error as Error).message}`;
  }
}

export function run(program: string, ...args: string[]) {
  return spawnSync(program, args, { env, encoding: 'utf8' });
}

/** Its standard output. */
export function demand(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = run(program, ...args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Whether it is frozen: asked by freezing it, and undone. */
export function isFrozen(mountPoint: string): boolean {
  const { status, stderr } = run('fsfreeze', '-f', mountPoint);
  if (status === 0) demand('fsfreeze', '-u', mountPoint);
  else if (!stderr.includes('busy')) throw new Error(stderr);
  return status !== 0;
}
