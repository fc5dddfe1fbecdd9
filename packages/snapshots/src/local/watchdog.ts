/**
 * The coordinator's side of the process that freezes and thaws (watchdog-process.ts). The two watch each other: that process thaws when this one is
 * gone, and this one when that one is.
 *
 * That neither the process nor a freeze which it began is left is told by its standard output, which each of them keeps open: from then on
 * nothing can be frozen any more, and one thaw is enough.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { assert, type Clock, deadline, Deferred, describeError } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { Tail } from '../writers/program.ts';
import { obeying } from '../writers/obeying.ts';
import { type FreezeReport, type LetGo, thawSurely } from './dead-man.ts';
import { FREEZE_MARK, fsfreeze } from './fsfreeze.ts';

export type WatchdogSays =
  | { readonly ready: true }
  | { readonly foreign: string }
  /** That it is to thaw: it may have to wait for a freeze that is under way. */
  | { readonly heard: true }
  | { readonly report: FreezeReport }
  | { readonly letGo: LetGo };

export interface Watched {
  /** The mount point. */
  readonly name: string;
  /** Of the file system. The watchdog closes it once nothing can be frozen any more. */
  readonly directory: FileHandle;
}

export interface WatchdogOptions {
  readonly watched: readonly Watched[];
  /** fsfreeze */
  readonly program: string;
  /** Of this attempt: unique. */
  readonly mark: string;
  readonly holdMs: number;
  readonly clock: Clock;
}

const READY_MS_MAX = 20_000;
/** The process has nothing to do but to ask the kernel; where it is silent for so long, it is ended and this one does it. */
const ANSWERS_MS_MAX = 3_000;
const ENDS_MS_MAX = 1_000;
const THAW_TRIES_MAX = 50;
const WORDS_BYTES_MAX = 2_048;

export class Watchdog implements AsyncDisposable {
  readonly #options: WatchdogOptions;
  readonly #child: ChildProcess;
  readonly #words = new Tail(WORDS_BYTES_MAX);
  readonly #ready = new Deferred<void>();
  readonly #report = new Deferred<FreezeReport>();
  readonly #heard = new Deferred<void>();
  readonly #letGo = new Deferred<LetGo>();
  readonly #over = new Deferred<void>();
  readonly #foreign = new Set<string>();
  #mayBeFrozen = false;
  #frozenAtMs = 0;
  #hasEnded = false;

  private constructor(options: WatchdogOptions) {
    this.#options = options;
    const { watched, program, mark, holdMs } = options;
    const names = watched.map(({ name }) => name);
    const file = path.join(import.meta.dirname, 'watchdog-process.ts');
    // Detached: a session of its own, which the end of this one's group does not reach.
    this.#child = spawn(process.execPath, ['--no-warnings', file, program, mark, String(holdMs), ...names], {
      stdio: ['pipe', 'pipe', 'pipe', ...watched.map(({ directory }) => directory.fd)],
      env: { PATH: process.env.PATH, LC_ALL: 'C', [FREEZE_MARK]: mark },
      cwd: '/',
      detached: true,
    });
    const { stdin, stdout, stderr } = this.#child;
    assert(stdin && stdout && stderr);
    stdin.on('error', () => {});
    stderr.on('data', (chunk: Buffer) => this.#words.push(chunk));
    readline.createInterface(stdout).on('line', (line) => this.#onLine(JSON.parse(line) as WatchdogSays));
    this.#child.on('error', (error) => this.#onEnd(error.message));
    this.#child.on('close', (status, by) => this.#onEnd(this.#words.text() || (by ?? `status ${status}`)));
  }

  /** Resolves when it could freeze at once. @throws SNAPSHOTS_LOCAL_WATCHDOG; the signal's reason */
  static async start(options: WatchdogOptions, signal: AbortSignal): Promise<Watchdog> {
    const watchdog = new Watchdog(options);
    try {
      const { clock } = options;
      const ready = deadline(watchdog.#ready.promise, { what: 'the watchdog', ms: READY_MS_MAX, clock });
      await obeying(ready, signal);
      return watchdog;
    } catch (error) {
      watchdog.#child.kill('SIGKILL');
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_LOCAL_WATCHDOG([describeError(error)], { cause: error });
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Those that somebody else has frozen, as far as is known yet. */
  get foreign(): ReadonlySet<string> {
    return this.#foreign;
  }

  /** It was told to freeze, and nobody has said that all is thawed. */
  get mayBeFrozen(): boolean {
    return this.#mayBeFrozen;
  }

  /** Once. @throws the signal's reason; SNAPSHOTS_LOCAL_WATCHDOG where the process has ended */
  async freeze(signal: AbortSignal): Promise<FreezeReport> {
    this.#frozenAtMs = this.#options.clock.nowMs();
    this.#mayBeFrozen = true;
    this.#child.stdin?.write('freeze\n');
    return await obeying(this.#report.promise, signal);
  }

  /** Whatever came before: nothing is frozen by it when this resolves. @throws SNAPSHOTS_LOCAL_STAYS_FROZEN */
  async thaw(): Promise<LetGo> {
    const { clock } = this.#options;
    this.#child.stdin?.write('thaw\n');
    try {
      await deadline(this.#heard.promise, { what: 'the watchdog', ms: ANSWERS_MS_MAX, clock });
    } catch {
      this.#child.kill('SIGKILL');
    }
    return await this.#letGo.promise;
  }

  /** A freeze that hangs in the kernel is not waited for: it is thawed when it ends, by that process or by this one. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { clock } = this.#options;
    const what = 'the watchdog';
    if (this.#mayBeFrozen) await deadline(this.thaw(), { what, ms: ANSWERS_MS_MAX, clock }).catch(() => {});
    // With its input it lets go of what it holds, and ends.
    this.#child.stdin?.end();
    try {
      await deadline(this.#over.promise, { what, ms: ENDS_MS_MAX, clock });
    } catch {
      if (!this.#mayBeFrozen) this.#child.kill('SIGKILL');
    }
  }

  #onLine(says: WatchdogSays): void {
    if ('ready' in says) this.#ready.resolve();
    else if ('heard' in says) this.#heard.resolve();
    else if ('report' in says) this.#report.resolve(says.report);
    else if ('letGo' in says) {
      this.#mayBeFrozen = false;
      this.#letGo.resolve(says.letGo);
    } else this.#foreign.add(says.foreign);
  }

  #onEnd(how: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const ended = snapshotErrors.SNAPSHOTS_LOCAL_WATCHDOG([how]);
    this.#ready.reject(ended);
    this.#report.reject(ended);
    this.#heard.resolve();
    void this.#afterEnd(how);
  }

  async #afterEnd(how: string): Promise<void> {
    try {
      this.#letGo.resolve(await this.#thawByItself(how));
    } catch (error) {
      this.#letGo.reject(error);
    }
    for (const { directory } of this.#options.watched) await directory.close();
    this.#over.resolve();
  }

  /** @throws SNAPSHOTS_LOCAL_STAYS_FROZEN */
  async #thawByItself(how: string): Promise<LetGo> {
    const { watched, program, mark, clock } = this.#options;
    const own = this.#mayBeFrozen ? watched.filter(({ name }) => !this.#foreign.has(name)) : [];
    const thaw = ({ name, directory }: Watched) =>
      thawSurely(fsfreeze({ name, descriptor: directory.fd, program, mark }), {
        clock,
        triesMax: THAW_TRIES_MAX,
      });
    const tried = await Promise.allSettled(own.map(thaw));
    const left = tried.flatMap((one) => (one.status === 'rejected' ? [describeError(one.reason)] : []));
    if (left.length > 0) throw snapshotErrors.SNAPSHOTS_LOCAL_STAYS_FROZEN([left.join('; ')]);
    this.#mayBeFrozen = false;
    const frozenForMs = Math.round(clock.nowMs() - this.#frozenAtMs);
    return { isWhole: false, why: `the process that would thaw them has ended (${how})`, frozenForMs };
  }
}
