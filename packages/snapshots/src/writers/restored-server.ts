/**
 * A database server started on a copy of its files, to see what it makes of them: as the account that the files belong to, never as
 * root, with a private unix socket in a directory of its own and no network. Whoever has it disposes of it, which ends the server.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { deadline, Deferred } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';

/** The end of the log is kept. */
const LOG_CHARACTERS_MAX = 1_000_000;
const STOP_MS_MAX = 20_000;

export interface RestoredServerOptions {
  readonly program: string;
  /** Whose owner the server runs as. */
  readonly dataDirectory: string;
  readonly args: (socketPath: string) => readonly string[];
  /** What the log says when it serves. */
  readonly ready: RegExp;
  readonly signal: AbortSignal;
}

export class RestoredServer implements AsyncDisposable {
  readonly socketPath: string;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #program: string;
  readonly #exited = new Deferred<void>();
  readonly #serves = new Deferred<void>();
  #log = '';

  private constructor({ program, ready }: RestoredServerOptions, child: ChildProcess, socketPath: string) {
    this.#program = program;
    this.#child = child;
    this.socketPath = socketPath;
    this.#directory = path.dirname(socketPath);
    const onOutput = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('latin1')).slice(-LOG_CHARACTERS_MAX);
      if (ready.test(this.#log)) this.#serves.resolve();
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.once('error', (error) => this.#ended(String(error)));
    child.once('close', () => this.#ended(this.#log.slice(-2000)));
  }

  /** @throws SNAPSHOTS_COPY_OF_ROOT, SNAPSHOTS_COPY_DEAD */
  static async start(options: RestoredServerOptions): Promise<RestoredServer> {
    const owner = await fs.stat(options.dataDirectory);
    if (owner.uid === 0) throw snapshotErrors.SNAPSHOTS_COPY_OF_ROOT([options.dataDirectory]);
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'rokka-copy-'));
    await fs.chown(directory, owner.uid, owner.gid);
    const socketPath = path.join(directory, 'socket');
    const child = spawn(options.program, options.args(socketPath), {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {}),
    });
    const server = new RestoredServer(options, child, socketPath);
    const aborted = () => server.#serves.reject(options.signal.reason);
    options.signal.addEventListener('abort', aborted, { once: true });
    try {
      options.signal.throwIfAborted();
      await server.#serves.promise;
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    } finally {
      options.signal.removeEventListener('abort', aborted);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  /** What it has written so far, its last megabyte. */
  get log(): string {
    return this.#log;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await deadline(this.exited, { what: `the end of ${this.#program}`, ms: STOP_MS_MAX }).catch(async () => {
      this.#child.kill('SIGKILL');
      await this.exited;
    });
    await fs.rm(this.#directory, { recursive: true, force: true });
  }

  #ended(words: string): void {
    this.#exited.resolve();
    this.#serves.reject(snapshotErrors.SNAPSHOTS_COPY_DEAD([this.#program, words]));
  }
}
