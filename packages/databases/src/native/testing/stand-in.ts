/** Starts the head's stand-in (head-stand-in.ts) from a test, listens to it, and looks for what it may have left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { deadline, Deferred, systemClock, systemRandom } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { namespaceCommand } from '../namespace.ts';
import type { StandInEvent, StandInOptions } from './head-stand-in.ts';

/** 65534, which every system has. */
const NOBODY = 65_534;
const BECOME_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
const TIMEOUT_MS = 180_000;
const GONE_MS = 60_000;

export type Named<Name extends StandInEvent['event']> = Extract<StandInEvent, { event: Name }>;

export class StandIn implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #events: StandInEvent[] = [];
  #seen = 0;
  #changed = new Deferred<void>();

  private constructor(child: ChildProcess) {
    this.#child = child;
    readline.createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#events.push(JSON.parse(line) as StandInEvent);
      this.#wake();
    });
    child.once('close', () => this.#wake());
  }

  /** `as` an ordinary user, everything happens in a user namespace. */
  static start(options: StandInOptions, as: 'root' | 'user' = 'root'): StandIn {
    const file = path.join(import.meta.dirname, 'head-stand-in.ts');
    const inner = namespaceCommand(
      { command: process.execPath, args: [file, JSON.stringify(options)] },
      { privilege: as },
    );
    const words = [inner.command, ...inner.args];
    const device = options.dataDirectory === undefined ? openDevice(options.runDirectory) : [];
    const [command = '', ...args] = as === 'user' ? [...device, ...BECOME_NOBODY, ...words] : words;
    return new StandIn(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' }));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get events(): readonly StandInEvent[] {
    return this.#events;
  }

  tell(word: 'stop' | 'kill' | 'start' | 'quit'): void {
    this.#child.stdin!.write(`${word}\n`);
  }

  /** The next event of this name; fails when the head fails or ends instead. */
  async next<Name extends StandInEvent['event']>(name: Name): Promise<Named<Name>> {
    const event = await this.#next((event) => event.event === name || event.event === 'failed');
    if (event.event !== name) throw new Error(`${name} expected: ${JSON.stringify(event)}`);
    return event as Named<Name>;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<void> {
    await deadline(this.#closed(), { what: 'the end of the head', ms: TIMEOUT_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) this.#child.kill('SIGKILL');
    await this.ended();
  }

  get #running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #closed(): Promise<void> {
    while (this.#running) await this.#changed.promise;
  }

  async #next(matches: (event: StandInEvent) => boolean): Promise<StandInEvent> {
    const untilMs = systemClock.nowMs() + TIMEOUT_MS;
    for (;;) {
      while (this.#seen < this.#events.length) {
        const event = this.#events[this.#seen++];
        if (matches(event)) return event;
      }
      if (!this.#running) throw new Error(`the head ended; last: ${JSON.stringify(this.#events.at(-1))}`);
      const ms = untilMs - systemClock.nowMs();
      await deadline(this.#changed.promise, { what: 'word from the head', ms });
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = new Deferred();
  }
}

/** Puts a /dev/fuse that everybody may open in the place of the machine's, for the command that follows and for it only. */
function openDevice(directory: string): string[] {
  const script = 'mknod "$0" c 10 229 && chmod 666 "$0" && mount --bind "$0" /dev/fuse && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, path.join(directory, 'fuse')];
}

/** A directory for one test, gone at its end. Everybody may enter: the server has another account than the test. */
export class TestDirectory implements Disposable {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-native-'));

  constructor() {
    fs.chmodSync(this.path, 0o755);
  }

  /** Options with a data directory that is this test's own, given to nobody where he is to run it. */
  async options(as: 'root' | 'user' = 'root'): Promise<StandInOptions & { dataDirectory: string }> {
    const made = ['data', 'run'].map((name) => path.join(this.path, name));
    for (const directory of made) {
      fs.mkdirSync(directory, { recursive: true });
      if (as === 'user') fs.chownSync(directory, NOBODY, NOBODY);
    }
    const [dataDirectory = '', runDirectory = ''] = made;
    const port = await freePort();
    return { dataDirectory, runDirectory, port, password: systemRandom.hex(8), database: 'app' };
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Footprint {
  readonly mountNamespace: string;
  /** Process ids, seen from here. */
  readonly members: readonly number[];
}

/** Everybody who lives in the mount namespace of `pid`. Nothing else can hold its mounts alive. */
export function footprint(pid: number): Footprint {
  const mountNamespace = fs.readlinkSync(`/proc/${pid}/ns/mnt`);
  return { mountNamespace, members: inNamespace(mountNamespace) };
}

/** Resolves when no process of that namespace is left. */
export async function vanished({ mountNamespace }: Footprint, timeoutMs = GONE_MS): Promise<void> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  for (;;) {
    const left = inNamespace(mountNamespace);
    if (left.length === 0) return;
    if (systemClock.nowMs() > untilMs) throw new Error(`left behind: ${left.map(commandOf).join('; ')}`);
    await systemClock.sleep(20);
  }
}

/** A zombie is gone as well: it waits only for its new parent to look. */
export async function vanishedPid(pid: number, timeoutMs = GONE_MS): Promise<void> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  while (/^State:\t[^ZX]/m.test(readOr(() => fs.readFileSync(`/proc/${pid}/status`, 'latin1')))) {
    if (systemClock.nowMs() > untilMs) throw new Error(`left behind: ${commandOf(pid)}`);
    await systemClock.sleep(20);
  }
}

function inNamespace(mountNamespace: string): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readOr(() => fs.readlinkSync(`/proc/${pid}/ns/mnt`)) === mountNamespace)
    .map(Number);
}

export function commandOf(pid: number): string {
  const words = readOr(() => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return `${pid} ${words.replaceAll('\0', ' ').trim()}`;
}

/** Processes end while we look. */
function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
