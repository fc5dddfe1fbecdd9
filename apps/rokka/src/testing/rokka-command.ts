/** The command `rokka` as a child process, as a person would start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as path from 'node:path';
import { deadline } from '@rokka/kernel';

const MAIN = path.join(import.meta.dirname, '..', 'entry.mjs');
const TIMEOUT_MS = 180_000;

export interface CommandOptions {
  /** Words that stand before it, such as `setpriv`. */
  readonly prefix?: readonly string[];
  readonly main?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export class RokkaCommand {
  readonly process: ChildProcess;
  out = '';
  err = '';
  readonly #closed: Promise<CommandEnd>;

  constructor(args: readonly string[], options: CommandOptions = {}) {
    const words = [...(options.prefix ?? []), process.execPath, options.main ?? MAIN, ...args];
    this.process = spawn(words[0], words.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Several clusters at once have one port for the AWS API between them: who tests it asks for it.
      env: { ...process.env, ROKKA_AWS_PORT: '0', ...options.env },
    });
    this.process.stdout?.on('data', (bytes: Buffer) => (this.out += bytes.toString()));
    this.process.stderr?.on('data', (bytes: Buffer) => (this.err += bytes.toString()));
    this.#closed = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (status, signal) =>
        resolve({ status, signal, out: this.out, err: this.err }),
      );
    });
    this.#closed.catch(() => {});
  }

  static run(args: readonly string[], options: CommandOptions = {}): Promise<CommandEnd> {
    return new RokkaCommand(args, options).ended();
  }

  get pid(): number {
    return this.process.pid as number;
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Both of its streams are closed as well: no child of it holds them. */
  async ended(timeoutMs = TIMEOUT_MS): Promise<CommandEnd> {
    try {
      return await deadline(this.#closed, { what: 'the command', ms: timeoutMs });
    } catch (error) {
      this.process.kill('SIGKILL');
      throw new Error(`it did not end; it said:\n${this.out}${this.err}`, { cause: error });
    }
  }

  /** Waits until its output has `text`. */
  async says(text: string, timeoutMs = TIMEOUT_MS): Promise<void> {
    const heard = new Promise<void>((resolve, reject) => {
      const look = () => {
        if (this.out.includes(text)) resolve();
      };
      this.process.stdout?.on('data', look);
      look();
      void this.#closed.then(({ status, signal }) =>
        reject(new Error(`it ended (${status ?? signal}) without "${text}":\n${this.out}${this.err}`)),
      );
    });
    heard.catch(() => {});
    await deadline(heard, { what: `"${text}" after:\n${this.out}${this.err}`, ms: timeoutMs });
  }
}
