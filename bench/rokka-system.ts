/** Rokka as its users run it: the command, on a data directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { askControl, CONTROL } from '../apps/rokka/src/control.ts';
import type { SupervisorStatus } from '../apps/rokka/src/status.ts';
import { sleep } from './interruption.ts';
import { type BenchSystem, type Counters, endChild, hasEnded, treeCpuSeconds } from './system.ts';

const MAIN = path.resolve(import.meta.dirname, '../apps/rokka/src/entry.mjs');
const READY_MS = 90_000;
const STOP_MS = 30_000;

export interface RokkaOptions {
  readonly name?: string;
  readonly directory: string;
  readonly port: number;
  readonly engine: 'native' | 'pglite';
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the volume's page cache; the command's own default unless given. */
  readonly cacheMiB?: number;
}

/** Resolves when clients may connect. */
export async function rokka(options: RokkaOptions): Promise<RokkaSystem> {
  const system = new RokkaSystem(options);
  try {
    await system.start();
    return system;
  } catch (error) {
    await system[Symbol.asyncDispose]();
    throw error;
  }
}

export class RokkaSystem implements BenchSystem {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly data: string;
  readonly #options: RokkaOptions;
  #up: ChildProcess | undefined;
  #output = '';

  constructor(options: RokkaOptions) {
    this.name = options.name ?? `Rokka, ${options.engine}`;
    this.port = options.port;
    this.data = path.join(options.directory, `rokka-${options.engine}`);
    this.#options = options;
  }

  get password(): string {
    return readFileSync(path.join(this.data, 'secrets', 'postgres-password'), 'utf8').trim();
  }

  /** Starts it, also again after everything was killed; resolves when clients may connect. */
  async start(): Promise<void> {
    const { port, engine, settings = {}, cacheMiB } = this.#options;
    const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const args = [MAIN, 'up', '--data', this.data, '--port', String(port), '--engine', engine, ...set];
    if (cacheMiB !== undefined) args.push('--cache', String(cacheMiB));
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#up = child;
    this.#output = '';
    const keep = (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-8000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    for (let waitedMs = 0; !/postgres(ql)?:\/\//.test(this.#output); waitedMs += 100) {
      if (hasEnded(child) || waitedMs > READY_MS)
        throw new Error(`rokka up did not get ready:\n${this.#output}`);
      await sleep(100);
    }
  }

  cpuSeconds(): number {
    return treeCpuSeconds([this.#up?.pid ?? 0]);
  }

  async counters(): Promise<Counters | undefined> {
    return (await this.status()).head.detail?.shipped;
  }

  /** Answers the CPU seconds before it, less those of the server: nobody counts them once it is gone. */
  async killHead(): Promise<number> {
    const { head } = await this.status();
    if (head.pid === undefined) throw new Error('there is no head to kill');
    // Where another head takes over, PostgreSQL lives on; else what it has used goes with it.
    const { engine, process: own } = head.detail ?? {};
    const dies = own?.canBeTakenOver ? undefined : engine?.postgresPid;
    const cpuSeconds = this.cpuSeconds() - (dies === undefined ? 0 : treeCpuSeconds([dies]));
    process.kill(head.pid, 'SIGKILL');
    return cpuSeconds;
  }

  /** As a power failure of the machine would, but for the page cache of its kernel. */
  async killEverything(): Promise<void> {
    const { pid, head, nodes } = await this.status();
    const ended = this.#ended();
    const pids = [
      pid,
      head.shimPid,
      head.pid,
      head.detail?.engine.postgresPid,
      ...nodes.map((node) => node.pid),
    ];
    for (const each of pids) if (each !== undefined) process.kill(each, 'SIGKILL');
    await ended;
  }

  /** Asks it to stop, in order, and waits; it can be started again. */
  async stop(): Promise<void> {
    if (this.#up) await endChild(this.#up, { signal: 'SIGINT', patienceMs: STOP_MS });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Not by the command: its start would cost those who are measured. */
  status(): Promise<SupervisorStatus> {
    return askControl<SupervisorStatus>(this.data, CONTROL.STATUS);
  }

  #ended(): Promise<unknown> {
    return new Promise((resolve) => this.#up?.once('close', resolve));
  }
}
