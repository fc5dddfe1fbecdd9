/** A place for one cluster under test: a data directory, a free port, and the proof at the end that nothing stays of it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';

/** Children of a supervisor that was killed need a moment to see it, and the kernel one to end them. */
const GONE_MS = 60_000;
const LOOK_AGAIN_MS = 50;

export class TestPlace implements AsyncDisposable {
  readonly path: string;
  readonly port: number;
  /** A new one for `rokka up`, unless the test puts something there. */
  data: string;
  /** Mounts that the test itself made. */
  readonly ownMounts: string[] = [];
  /** Directories of servers' sockets, as device and inode: kept, because a disk may be gone when its server should be. */
  readonly #sockets = new Set<string>();

  private constructor(directory: string, port: number) {
    this.path = directory;
    this.data = path.join(directory, 'data');
    this.port = port;
  }

  static async make(): Promise<TestPlace> {
    return new TestPlace(fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-app-')), await freePort());
  }

  /** Remembers where servers have their sockets, so that they are found later. */
  noteSockets(): void {
    for (const name of fs.globSync('{,*/,*/*/,*/*/*/}run/postgres', { cwd: this.path })) {
      const identity = identityOf(path.join(this.path, name));
      if (identity) this.#sockets.add(identity);
    }
  }

  /** Waits for the processes to be gone: none names the place, none lives where a head of it has mounted; and no mount, no socket. */
  async assertNothingRuns(): Promise<void> {
    for (const untilMs = systemClock.nowMs() + GONE_MS; ;) {
      const left = await this.#left();
      if (left.length === 0) return;
      assert.ok(systemClock.nowMs() < untilMs, `it is left: ${left.join('\n')}`);
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** A process that ends has no command line any more when its files are still to be closed: so all of it is looked at each time. */
  async #left(): Promise<string[]> {
    const mounts = fs.readFileSync('/proc/mounts', 'utf8').split('\n');
    const listens = await connect(this.port).then(
      () => [`somebody listens on port ${this.port}`],
      () => [],
    );
    return [
      ...this.processes(),
      ...mounts.filter((line) => line.includes(this.path) && !this.ownMounts.includes(line.split(' ')[1])),
      ...listens,
    ];
  }

  /** What an orderly stop takes away as well. */
  assertNoSockets(): void {
    const run = path.join(this.data, 'run');
    const left = fs.existsSync(run) ? fs.readdirSync(run, { recursive: true }) : [];
    assert.deepEqual(
      left.filter((name) => name !== 'postgres'),
      [],
      'no socket is left',
    );
  }

  processes(): string[] {
    this.noteSockets();
    return fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => this.#isOurs(Number(pid)))
      .map((pid) => `${pid} ${commandLine(Number(pid))}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.assertNothingRuns();
    } finally {
      for (const line of this.processes()) kill(Number(line.split(' ')[0]));
      fs.rmSync(this.path, { recursive: true, force: true });
    }
  }

  /**
   * A server and its helpers name the place nowhere, but live in the mount namespace of its head, which has bound the place's
   * directory of sockets there. The number of that namespace would not do: the next head on the machine may get it, whosever it is.
   */
  #isOurs(pid: number): boolean {
    if (commandLine(pid).includes(this.path)) return true;
    if (this.#sockets.size === 0 || namespaceOf(pid) === namespaceOf(process.pid)) return false;
    const mounts = read(() => fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).split('\n');
    return mounts
      .map((line) => line.split(' '))
      .filter(([, , , root]) => root?.endsWith('/run/postgres'))
      .some(([, , , , point]) => this.#sockets.has(identityOf(`/proc/${pid}/root${point}`)));
  }
}

/** Sends SIGKILL; that the process has ended already is fine. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function connect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('connect', () => (socket.destroy(), resolve()));
  });
}

/** Empty for a zombie and for a process that has ended meanwhile. */
function commandLine(pid: number): string {
  return read(() => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
}

function namespaceOf(pid: number): string {
  return read(() => fs.readlinkSync(`/proc/${pid}/ns/mnt`));
}

/** Device and inode; empty where nothing is there. */
function identityOf(name: string): string {
  return read(() => {
    const { dev, ino } = fs.statSync(name);
    return `${dev}/${ino}`;
  });
}

function read(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
