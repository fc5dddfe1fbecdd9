/**
 * One supervised child process: started, watched, stopped within a deadline. When it ends by itself it is started again, at
 * once if it had served for a while, else after a growing pause. It talks over Node's own channel; when the supervisor dies
 * the channel closes, and the child ends. It has a session of its own: Ctrl-C and a hang-up in the terminal reach the
 * supervisor alone, which knows the order of ending.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { assert, type Clock, CodedError, Deferred } from '@rokka/kernel';
import { rokkaErrors } from './errors.ts';
import { isAlive, SpareProcess } from './spare-process.ts';

/** What a child says. */
export type ChildMessage =
  | { kind: 'ready'; detail?: unknown }
  | { kind: 'progress'; text: string }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; text: string }
  | { kind: 'failed'; code: string; message: string; final: Finality }
  | { kind: 'status'; id: number; status: unknown }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'refusal'; id: number; code: string; message: string };

/**
 * The child is about to end. Starting it again would be wrong or useless: `always`; as long as it was never ready, because
 * then a person waits for the answer: `at-first`; `never`.
 */
export type Finality = 'never' | 'at-first' | 'always';

/** What a child is told. `begin` only to one that awaits it; `waited`: it was there before it was needed. */
export type ParentMessage =
  | { kind: 'begin'; waited: boolean; argument?: unknown }
  | { kind: 'stop' }
  | { kind: 'status'; id: number }
  /** To do something, by the name that it gave it. */
  | { kind: 'ask'; id: number; what: string; argument?: unknown };

export interface ChildOptions {
  name: string;
  /** Made anew for each process. */
  command(): { command: string; args: string[]; env?: Record<string, string> };
  /** Open files that it gets as well, as its descriptors from CHILD_FDS_AT on. They stay the caller's. */
  fds?: readonly number[];
  /** The child loads its code and does nothing before `begin`. */
  awaitsBegin?: boolean;
  /** Told to it then: what has become another one since a spare was launched. */
  argument?(): unknown;
  /** Another process of its kind waits, its code loaded, to take its place: see `keepSpare`. Each of them awaits `begin`. */
  spare?: boolean;
  /** Of a child before this one, by `handOver`: where one waits, it is the first to begin. Stays the caller's. */
  handedOver?: Pick<SpareProcess, 'take'> | undefined;
  clock: Clock;
  readyTimeoutMs: number;
  stopTimeoutMs: number;
  onProgress?(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
  /** It ended and must not be started again. */
  onFinal?(error: CodedError): void;
  onReady?(detail: unknown): void;
  /** It ended by itself, and is started again. */
  onLost?(): void;
  /** Whether another one may follow the one that has ended; always, unless said otherwise. Where none may, that is final. */
  mayFollow?(end: ChildEnd): boolean;
}

/** How a child has ended by itself. */
export interface ChildEnd {
  /** That killed it; null where it went by itself. */
  readonly signal: NodeJS.Signals | null;
  /** Undefined where it never was. */
  readonly readyForMs: number | undefined;
}

/** What a process is launched with. */
export type Launch = Pick<ChildOptions, 'command' | 'fds'>;

/** 0 to 2 are the standard streams, 3 is the channel. */
export const CHILD_FDS_AT = 4;

export function launchChild({ command: make, fds = [] }: Launch): ChildProcess {
  const { command, args, env } = make();
  return spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...fds],
    env: { ...process.env, ...env },
    detached: true,
  });
}

const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 5_000;
/** A child that was ready for so long was well: whatever ended it came from outside, and clients wait. */
const WELL_AFTER_MS = 2_000;
/** A spare is made when nobody waits for the start any more. */
const SPARE_AFTER_MS = 2_000;
/** One that ended, or could not be made, is made again. */
const SPARE_AGAIN_MS = 5_000;
/** One that was taken and says nothing for so long stands still, as it may have done all along. */
const SPARE_SILENT_MS = 30_000;
const STATUS_TIMEOUT_MS = 2_000;
const STDERR_BYTES_KEPT = 4_000;
/** What the child said last arrives after its end, unless a process of its own holds the stream. */
const LAST_WORDS_MS = 1_000;

export class SupervisedChild implements AsyncDisposable {
  readonly #options: ChildOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #pauseMs = PAUSE_MS_FIRST;
  #restarts = 0;
  /** Since when it is; undefined while it is not. */
  #readySinceMs: number | undefined;
  #firstReady = new Deferred<void>();
  #ended = new Deferred<void>();
  #lastError: CodedError | undefined;
  #wasReady = false;
  #killed = false;
  #failure: { code: string; message: string; final: Finality } | undefined;
  #stderr = '';
  #cancelPause = () => {};
  #spare: SpareProcess;
  #keepsSpare: boolean;
  #cancelSpare = () => {};
  #cancelSilence = () => {};
  readonly #questions = new Map<number, Deferred<unknown>>();
  #nextQuestion = 1;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#keepsSpare = options.spare === true;
    this.#spare = this.#makeSpare();
  }

  get name(): string {
    return this.#options.name;
  }

  /** Undefined while it is not running. */
  get pid(): number | undefined {
    return isAlive(this.#child) ? this.#child.pid : undefined;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Why it ended last, by itself; undefined while it never did. */
  get lastError(): CodedError | undefined {
    return this.#lastError;
  }

  get ready(): boolean {
    return this.#readySinceMs !== undefined;
  }

  /** A spare is there, and waits. */
  get spareWaits(): boolean {
    return this.#spare.waits;
  }

  /** Whether a spare is to wait from now on. The child that runs goes on. */
  keepSpare(wanted: boolean): void {
    assert(!wanted || this.#awaitsBegin, 'a child that begins by itself has no spare');
    this.#keepsSpare = wanted;
    if (wanted) return this.#prepareSpareAfter(SPARE_AFTER_MS);
    this.#cancelSpare();
    this.#spare.dismiss();
  }

  /** The spare for whoever comes after this child, which is to be disposed of: from now on the caller's. */
  handOver(): SpareProcess {
    this.#keepsSpare = false;
    this.#cancelSpare();
    const given = this.#spare;
    this.#spare = this.#makeSpare();
    return given;
  }

  get #awaitsBegin(): boolean {
    return this.#options.awaitsBegin ?? this.#options.spare === true;
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
    if (!this.#child?.connected || !this.ready) return undefined;
    const id = this.#nextQuestion++;
    const answer = new Deferred<unknown>();
    this.#questions.set(id, answer);
    const cancel = this.#options.clock.after(STATUS_TIMEOUT_MS, () => answer.resolve(undefined));
    this.#child.send({ kind: 'status', id } satisfies ParentMessage, () => {});
    return answer.promise.finally(() => (cancel(), this.#questions.delete(id)));
  }

  /**
   * Asks the child to do something that it has said it can do.
   * @throws ROKKA_CHILD_AWAY where it is not there, or ends meanwhile; ROKKA_CHILD_SILENT; the child's own error
   */
  async ask(what: string, timeoutMs: number, argument?: unknown): Promise<unknown> {
    const { name, clock } = this.#options;
    if (!this.#child?.connected || !this.ready) throw rokkaErrors.ROKKA_CHILD_AWAY([name]);
    const id = this.#nextQuestion++;
    const answer = new Deferred<unknown>();
    this.#questions.set(id, answer);
    const late = () => answer.reject(rokkaErrors.ROKKA_CHILD_SILENT([name, timeoutMs]));
    const cancel = clock.after(timeoutMs, late);
    this.#child.send({ kind: 'ask', id, what, argument } satisfies ParentMessage, () => {});
    const value = await answer.promise.finally(() => (cancel(), this.#questions.delete(id)));
    // Its end settles whatever was asked of it.
    if (value === undefined) throw rokkaErrors.ROKKA_CHILD_AWAY([name]);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#cancelPause();
    this.#cancelSpare();
    this.#firstReady.reject(rokkaErrors.ROKKA_STOPPED([this.#options.name]));
    await Promise.all([this.#stop(), this.#spare[Symbol.asyncDispose]()]);
  }

  async #stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
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

  /** Ends it without asking. Dispose it as well. */
  kill(): void {
    this.#stopping = true;
    this.#killed = true;
    this.#cancelPause();
    this.#cancelSpare();
    this.#child?.kill('SIGKILL');
  }

  #makeSpare(): SpareProcess {
    return new SpareProcess({
      launch: () => launchChild(this.#options),
      onMissing: (why) => {
        this.#options.onLog('warn', `there is no spare ${this.name} now: ${why}`);
        this.#prepareSpareAfter(SPARE_AGAIN_MS);
      },
    });
  }

  /** Unless it ends meanwhile: whoever comes after it asks again. */
  #prepareSpareAfter(ms: number): void {
    this.#cancelSpare();
    if (!this.#keepsSpare || !this.ready || this.#stopping) return;
    this.#cancelSpare = this.#options.clock.after(ms, () => this.#spare.prepare());
  }

  #spawn(): void {
    this.#ended = new Deferred<void>();
    this.#failure = undefined;
    this.#stderr = '';
    const { argument, handedOver } = this.#options;
    const waiting = this.#spare.take() ?? handedOver?.take();
    const child = waiting ?? launchChild(this.#options);
    const begin: ParentMessage = { kind: 'begin', waited: waiting !== undefined, argument: argument?.() };
    if (this.#awaitsBegin && child.connected) child.send(begin, () => {});
    if (waiting)
      this.#cancelSilence = this.#options.clock.after(SPARE_SILENT_MS, () => waiting.kill('SIGKILL'));
    this.#child = child;
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr = (this.#stderr + bytes.toString()).slice(-STDERR_BYTES_KEPT);
    });
    child.on('message', (message) => this.#onMessage(message as ChildMessage));
    child.on('error', (error) => {
      if (child.pid === undefined) this.#onEnd(child, `cannot be started: ${error.message}`, null);
    });
    child.on('exit', (code, signal) => {
      const how = signal ? `killed by ${signal}` : `exit status ${code}`;
      const cancel = this.#options.clock.after(LAST_WORDS_MS, () => this.#onEnd(child, how, signal));
      child.once('close', () => (cancel(), this.#onEnd(child, how, signal)));
    });
  }

  #onMessage(message: ChildMessage): void {
    this.#cancelSilence();
    switch (message.kind) {
      case 'ready':
        this.#readySinceMs = this.#options.clock.nowMs();
        this.#wasReady = true;
        this.#firstReady.resolve();
        this.#options.onReady?.(message.detail);
        this.#prepareSpareAfter(SPARE_AFTER_MS);
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
      case 'answer':
        this.#questions.get(message.id)?.resolve(message.value);
        break;
      case 'refusal':
        this.#questions.get(message.id)?.reject(new CodedError(message.code, message.message));
        break;
    }
  }

  #onEnd(child: ChildProcess, how: string, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return;
    const { clock, name, onLog, onFinal, onLost, mayFollow } = this.#options;
    const readyForMs = this.#readySinceMs === undefined ? undefined : clock.nowMs() - this.#readySinceMs;
    const end = { signal, readyForMs };
    const wasWell = (readyForMs ?? 0) > WELL_AFTER_MS;
    this.#child = undefined;
    this.#cancelSpare();
    this.#cancelSilence();
    this.#readySinceMs = undefined;
    for (const question of this.#questions.values()) question.resolve(undefined);
    const why = this.#failure
      ? this.#failure.message
      : [how, lastLine(this.#stderr)].filter(Boolean).join('; ');
    // For whoever looks for the reason of a mistake of ours: the log has all of it, people get one line.
    if (this.#stderr) onLog('info', `${name} said: ${this.#stderr}`);
    if (this.#stopping && !this.#killed && how !== 'exit status 0')
      onLog('warn', `${name} did not stop in good order: ${why}`);
    this.#ended.resolve();
    if (this.#stopping) return;
    const error = this.#failure
      ? new CodedError(this.#failure.code, this.#failure.message)
      : rokkaErrors.ROKKA_CHILD_FAILED([name, why]);
    this.#lastError = error;
    const final = this.#failure?.final ?? 'never';
    if (final === 'always' || (final === 'at-first' && !this.#wasReady) || mayFollow?.(end) === false) {
      this.#firstReady.reject(error);
      onFinal?.(error);
      return;
    }
    const pauseMs = wasWell ? 0 : this.#pauseMs;
    this.#pauseMs = wasWell ? PAUSE_MS_FIRST : Math.min(pauseMs * 2, PAUSE_MS_MAX);
    onLog('warn', `${name} ended (${why}); starting it again ${pauseMs === 0 ? 'now' : `in ${pauseMs} ms`}`);
    onLost?.();
    this.#cancelPause = clock.after(
      pauseMs,
      () => {
        this.#restarts++;
        this.#spawn();
      },
      { keepAlive: true },
    );
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
