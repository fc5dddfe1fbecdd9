/**
 * One supervised child process: started, watched, started again with a growing pause when it ends by itself, stopped
 * within a deadline. It talks over Node's own channel; when the supervisor dies the channel closes, and the child ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { assert, type Clock, CodedError, Deferred } from '@rokka/kernel';
import { rokkaErrors } from './errors.ts';

/** What a child says. */
export type ChildMessage =
  | { kind: 'ready'; detail?: unknown }
  | { kind: 'progress'; text: string }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; text: string }
  /** The child is about to end. `final`: starting it again would be wrong or useless. */
  | { kind: 'failed'; code: string; message: string; final: boolean }
  | { kind: 'status'; id: number; status: unknown };

/** What a child is told. */
export type ParentMessage = { kind: 'stop' } | { kind: 'status'; id: number };

export interface ChildOptions {
  name: string;
  /** Made anew for each start. */
  command(): { command: string; args: string[]; env?: Record<string, string> };
  clock: Clock;
  readyTimeoutMs: number;
  stopTimeoutMs: number;
  onProgress?(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
  /** It ended and must not be started again. */
  onFinal?(error: CodedError): void;
  onReady?(detail: unknown): void;
}

const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 5_000;
/** A child that ran this long was well: its next pause is the first again. */
const WELL_AFTER_MS = 30_000;
const STATUS_TIMEOUT_MS = 2_000;
const STDERR_BYTES_KEPT = 4_000;

export class SupervisedChild implements AsyncDisposable {
  readonly #options: ChildOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #pauseMs = PAUSE_MS_FIRST;
  #startedMs = 0;
  #restarts = 0;
  #ready = false;
  #firstReady = new Deferred<void>();
  #ended = new Deferred<void>();
  #failure: { code: string; message: string; final: boolean } | undefined;
  #stderr = '';
  #cancelPause = () => {};
  readonly #questions = new Map<number, Deferred<unknown>>();
  #nextQuestion = 1;

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Undefined while it is not running. */
  get pid(): number | undefined {
    return this.#child?.exitCode === null ? this.#child.pid : undefined;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Starts it; resolves at its first "ready". @throws ROKKA_CHILD_FAILED, ROKKA_CHILD_LATE, or the child's own error */
  async start(): Promise<void> {
    assert(!this.#child, 'started twice');
    if (this.#stopping) throw rokkaErrors.ROKKA_STOPPED([this.#options.name]);
    this.#spawn();
    const { clock, readyTimeoutMs, name } = this.#options;
    const cancel = clock.after(readyTimeoutMs, () =>
      this.#firstReady.reject(rokkaErrors.ROKKA_CHILD_LATE([name, readyTimeoutMs])),
    );
    await this.#firstReady.promise.finally(cancel);
  }

  /** Asks the child for its status; undefined where it does not answer in time. */
  async status(): Promise<unknown> {
    if (!this.#child?.connected || !this.#ready) return undefined;
    const id = this.#nextQuestion++;
    const answer = new Deferred<unknown>();
    this.#questions.set(id, answer);
    const cancel = this.#options.clock.after(STATUS_TIMEOUT_MS, () => answer.resolve(undefined));
    this.#child.send({ kind: 'status', id } satisfies ParentMessage, () => {});
    return answer.promise.finally(() => (cancel(), this.#questions.delete(id)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#cancelPause();
    this.#firstReady.reject(rokkaErrors.ROKKA_STOPPED([this.#options.name]));
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    if (child.connected) child.send({ kind: 'stop' } satisfies ParentMessage, () => {});
    const cancel = this.#options.clock.after(this.#options.stopTimeoutMs, () => {
      this.#options.onLog(
        'warn',
        `${this.name} did not stop within ${this.#options.stopTimeoutMs} ms: killed`,
      );
      child.kill('SIGKILL');
    });
    await this.#ended.promise.finally(cancel);
  }

  #spawn(): void {
    const { command, args, env } = this.#options.command();
    this.#ended = new Deferred<void>();
    this.#failure = undefined;
    this.#stderr = '';
    this.#startedMs = this.#options.clock.nowMs();
    const child = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr = (this.#stderr + bytes.toString()).slice(-STDERR_BYTES_KEPT);
    });
    child.on('message', (message) => this.#onMessage(message as ChildMessage));
    child.on('error', (error) => this.#onEnd(`cannot be started: ${error.message}`));
    child.on('exit', (code, signal) => this.#onEnd(signal ? `killed by ${signal}` : `exit status ${code}`));
  }

  #onMessage(message: ChildMessage): void {
    switch (message.kind) {
      case 'ready':
        this.#ready = true;
        this.#firstReady.resolve();
        this.#options.onReady?.(message.detail);
        break;
      case 'progress':
        this.#options.onProgress?.(message.text);
        break;
      case 'log':
        this.#options.onLog(message.level, message.text);
        break;
      case 'failed':
        this.#failure = message;
        break;
      case 'status':
        this.#questions.get(message.id)?.resolve(message.status);
        break;
    }
  }

  #onEnd(how: string): void {
    if (!this.#child) return;
    this.#child = undefined;
    this.#ready = false;
    this.#ended.resolve();
    if (this.#stopping) return;
    const { clock, name, onLog, onFinal } = this.#options;
    const why = this.#failure
      ? this.#failure.message
      : [how, lastLine(this.#stderr)].filter(Boolean).join('; ');
    const error = this.#failure
      ? new CodedError(this.#failure.code, this.#failure.message)
      : rokkaErrors.ROKKA_CHILD_FAILED([name, why]);
    if (this.#failure?.final) {
      this.#firstReady.reject(error);
      onFinal?.(error);
      return;
    }
    if (clock.nowMs() - this.#startedMs > WELL_AFTER_MS) this.#pauseMs = PAUSE_MS_FIRST;
    onLog('warn', `${name} ended (${why}); starting it again in ${this.#pauseMs} ms`);
    this.#cancelPause = clock.after(
      this.#pauseMs,
      () => {
        this.#restarts++;
        this.#spawn();
      },
      { keepAlive: true },
    );
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
