/**
 * A server of our own on somebody's files: with a directory that is its account's alone, for its unix socket and what else it needs, and no
 * standard input. What it writes is kept, the end of it. Whoever has it disposes of it, which ends the server and all that it has started.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { deadline, Deferred } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { obeying } from './obeying.ts';
import { runProgram } from './program.ts';

/** The end of the log is kept. */
const LOG_CHARACTERS_MAX = 1_000_000;
/** What says that it serves may come in two pieces. */
const READY_CHARACTERS_MAX = 1_000;
const WORDS_CHARACTERS_MAX = 1_000;
const STOP_MS_MAX = 20_000;
/** A killed process that hangs in the kernel is not waited for longer. */
const KILLED_MS_MAX = 3_000;

export interface PrivateServerOptions {
  /** For messages, such as `MariaDB at /srv/data`. */
  readonly what: string;
  readonly account: { readonly uid: number; readonly gid: number };
  /** By name and text: made in its directory first. */
  readonly files?: Readonly<Record<string, string>>;
  /** @param directory its own */
  command(directory: string): readonly string[];
  /** What it writes when it serves. */
  readonly ready: RegExp;
  /** Of what it has written, why it does not serve; without it the end of that. */
  failureIn?(log: string): string | undefined;
  /** Has it end in good order; SIGTERM unless said otherwise. */
  readonly stopSignal?: NodeJS.Signals;
  /** Once it is aborted the server is killed, and not asked to end. */
  readonly signal: AbortSignal;
}

export class PrivateServer implements AsyncDisposable {
  readonly directory: string;
  readonly #options: PrivateServerOptions;
  readonly #child: ChildProcess;
  readonly #exited = new Deferred<void>();
  readonly #serves = new Deferred<void>();
  #log = '';

  private constructor(options: PrivateServerOptions, directory: string) {
    this.#options = options;
    this.directory = directory;
    const [program = '', ...args] = options.command(directory);
    // A process group of its own, which is killed as a whole; a clean environment, as some servers take settings from it.
    this.#child = spawn(program, args, {
      cwd: '/',
      detached: true,
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#onOutput(chunk.toString('latin1')));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#onOutput(chunk.toString('latin1')));
    this.#child.once('error', (error) => this.#onEnd(String(error)));
    // What it has started has no business without it, and may keep the pipes open.
    this.#child.once('exit', () => this.#killAll());
    // Not 'exit': what it said last may still be on the way.
    this.#child.once('close', (status, by) => this.#onEnd(by ?? `status ${status}`));
  }

  /** @throws SNAPSHOTS_RESTORED_BROKEN where it ends before it serves; the signal's reason */
  static async start(options: PrivateServerOptions): Promise<PrivateServer> {
    const { account, files = {}, signal } = options;
    signal.throwIfAborted();
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'rokka-restored-'));
    let server: PrivateServer | undefined;
    try {
      for (const [name, text] of Object.entries(files)) await fs.writeFile(path.join(directory, name), text);
      await fs.chown(directory, account.uid, account.gid);
      server = new PrivateServer(options, directory);
      await obeying(server.#serves.promise, signal);
      return server;
    } catch (error) {
      if (server) await server[Symbol.asyncDispose]();
      else await removeAs(account, directory);
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get socketPath(): string {
    return socketIn(this.directory);
  }

  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  /** What it has written so far, its last megabyte. */
  get log(): string {
    return this.#log;
  }

  /** Its last words, for messages. */
  get words(): string {
    return this.#options.failureIn?.(this.#log) ?? this.#log.slice(-WORDS_CHARACTERS_MAX).trim();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @throws KERNEL_DEADLINE where it hangs in the kernel even so */
  async [Symbol.asyncDispose](): Promise<void> {
    const { what, stopSignal = 'SIGTERM', signal } = this.#options;
    try {
      this.#child.kill(stopSignal);
      const stopped = deadline(this.exited, { what: `the end of ${what}`, ms: STOP_MS_MAX });
      await obeying(stopped, signal).catch(() => {});
      this.#killAll();
      await deadline(this.exited, { what: `the end of ${what}, killed`, ms: KILLED_MS_MAX });
    } finally {
      this.#child.stdout?.destroy();
      this.#child.stderr?.destroy();
      await removeAs(this.#options.account, this.directory);
    }
  }

  #killAll(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }

  #onOutput(text: string): void {
    this.#log = (this.#log + text).slice(-LOG_CHARACTERS_MAX);
    if (this.#options.ready.test(this.#log.slice(-text.length - READY_CHARACTERS_MAX)))
      this.#serves.resolve();
  }

  #onEnd(how: string): void {
    this.#exited.resolve();
    const why = this.words || `its server ended without a word (${how})`;
    this.#serves.reject(snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([this.#options.what, why]));
  }
}

/**
 * By the account that may write there: whoever has it may put a link in the place of a directory meanwhile, and root would delete what is
 * behind that.
 */
async function removeAs({ uid, gid }: PrivateServerOptions['account'], directory: string): Promise<void> {
  if (process.getuid?.() !== 0 || uid === 0) return fs.rm(directory, { recursive: true, force: true });
  const rights = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  await runProgram('setpriv', [...rights, '--', 'rm', '-rf', '--', directory], { timeoutMs: STOP_MS_MAX });
  // Where its own name is, only root may delete; and nothing but an empty directory is deleted by this.
  await fs.rmdir(directory).catch(() => {});
}

/** Where its unix socket is, in its own directory. */
export function socketIn(directory: string): string {
  return path.join(directory, 'socket');
}
