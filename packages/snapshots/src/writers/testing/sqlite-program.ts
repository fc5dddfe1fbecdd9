/** sqlite-load.ts, in a process of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { systemClock } from '@rokka/kernel';

export interface SqliteLoadOptions {
  readonly file: string;
  /** As the pragma has it: `wal`, `delete`, … */
  readonly journalMode: string;
  /** What starts it, such as `unshare --mount`. */
  readonly namespace?: readonly string[];
}

const ROWS = 20;
const LOOKS_MAX = 5_000;
const LOOK_MS = 20;

export class SqliteLoad implements AsyncDisposable {
  /** So many rows it has said to be committed. */
  committed = 0;
  readonly #child: ChildProcess;

  private constructor({ file, journalMode, namespace = [] }: SqliteLoadOptions) {
    const program = path.join(import.meta.dirname, 'sqlite-load.ts');
    const [command, ...args] = [...namespace, process.execPath, '--no-warnings', program, file, journalMode];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    readline.createInterface(child.stdout).on('line', (line) => (this.committed = Number(line)));
  }

  /** Resolves when it writes. */
  static async start(options: SqliteLoadOptions): Promise<SqliteLoad> {
    const load = new SqliteLoad(options);
    try {
      await load.goesOn();
      return load;
    } catch (error) {
      await load[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Of all that it has committed, while somebody holds it, nothing is on the way any more. */
  async hasSaid(rows: number): Promise<void> {
    for (let look = 0; look < LOOKS_MAX && this.committed < rows; look++) await systemClock.sleep(LOOK_MS);
    assert.equal(this.committed, rows);
  }

  async goesOn(): Promise<void> {
    const before = this.committed;
    for (let look = 0; look < LOOKS_MAX && this.committed < before + ROWS; look++)
      await systemClock.sleep(LOOK_MS);
    assert.ok(this.committed >= before + ROWS, `${this.committed} after ${before}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
