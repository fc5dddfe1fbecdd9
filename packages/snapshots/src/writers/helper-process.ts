/**
 * A process that holds what its parent wants held: sessions and locks. The two speak lines of JSON over the child's standard
 * streams, one question at a time.
 *
 * What is held goes with the child, and the child goes with its parent: its standard input ends then, however the parent died
 * (helper-lines.ts). A question whose signal aborts ends the child too, because what it would hold a moment later is wanted by
 * nobody any more.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as readline from 'node:readline';
import { assert, deadline, Deferred } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { obeying } from './obeying.ts';
import { Tail } from './program.ts';
import type { Answer } from './helper-lines.ts';

export interface HelperOptions {
  /** The file that the child runs. */
  readonly file: string;
  readonly args?: readonly string[];
  /** As whom it runs where this process is root. It reads what root reads, and writes what this account may write. */
  readonly account?: { readonly uid: number; readonly gid: number };
  /** For messages, such as `PostgreSQL at /srv/pg`. */
  readonly what: string;
}

const ENDS_MS_MAX = 1_000;
const WORDS_BYTES_MAX = 2_048;

export class HelperProcess implements AsyncDisposable {
  readonly #what: string;
  readonly #child: ChildProcess;
  readonly #words = new Tail(WORDS_BYTES_MAX);
  #asked: Deferred<Answer> | undefined;
  #ended: string | undefined;

  private constructor(options: HelperOptions) {
    this.#what = options.what;
    // A clean environment: what a library reads from it (PGHOST, NODE_OPTIONS) is not meant for this session.
    const command = [process.execPath, '--no-warnings', options.file, ...(options.args ?? [])];
    const [program = '', ...args] = [...asAccount(options.account), ...command];
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      cwd: '/',
    });
    const { stdin, stdout, stderr } = this.#child;
    assert(stdin && stdout && stderr);
    stdin.on('error', () => {});
    stderr.on('data', (chunk: Buffer) => this.#words.push(chunk));
    readline.createInterface(stdout).on('line', (line) => this.#onLine(line));
    this.#child.on('error', (error) => this.#onEnd(error.message));
    // Not 'exit': what it said last may still be on the way.
    this.#child.on('close', (status, by) => this.#onEnd(this.#words.text() || (by ?? `status ${status}`)));
  }

  static start(options: HelperOptions): HelperProcess {
    return new HelperProcess(options);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * @throws the signal's reason, and then the child is gone; SNAPSHOTS_HELPER_ENDED; `Refused` with the child's words
   */
  async ask<T>(command: string, details: object, signal: AbortSignal): Promise<T> {
    assert(this.#asked === undefined, 'one question at a time');
    if (this.#ended !== undefined) throw this.#endedError();
    const asked = (this.#asked = new Deferred<Answer>());
    this.#child.stdin?.write(`${JSON.stringify({ command, ...details })}\n`);
    try {
      const answer = await obeying(asked.promise, signal);
      if ('refused' in answer) throw new Refused(answer.refused);
      return answer.value as T;
    } catch (error) {
      if (signal.aborted) await this.kill();
      throw error;
    } finally {
      this.#asked = undefined;
    }
  }

  /** At once. What it held is free when this resolves, as far as the kernel is asked. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#whenEnded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    try {
      await this.#whenEnded();
    } catch {
      await this.kill();
    }
  }

  async #whenEnded(): Promise<void> {
    if (this.#ended !== undefined) return;
    await deadline(once(this.#child, 'close'), { what: `the helper of ${this.#what}`, ms: ENDS_MS_MAX });
  }

  #onLine(line: string): void {
    this.#asked?.resolve(JSON.parse(line) as Answer);
  }

  #onEnd(how: string): void {
    this.#ended ??= how;
    this.#asked?.reject(this.#endedError());
  }

  #endedError(): Error {
    return snapshotErrors.SNAPSHOTS_HELPER_ENDED([this.#what, this.#ended ?? '']);
  }
}

/** The account need not be able to read this checkout, nor come by the directories above a file of its own (those of containers). */
function asAccount(account: HelperOptions['account']): string[] {
  if (!account || account.uid === 0 || process.getuid?.() !== 0) return [];
  const rights = '-all,+dac_read_search';
  const capabilities = [`--inh-caps=${rights}`, `--ambient-caps=${rights}`, `--bounding-set=${rights}`];
  const { uid, gid } = account;
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--no-new-privs',
    ...capabilities,
    '--',
  ];
}

/** The child said no, and why; whoever asked knows what that means. */
export class Refused extends Error {
  override name = 'Refused';
}
