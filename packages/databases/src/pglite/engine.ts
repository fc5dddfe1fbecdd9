/**
 * The embedded engine over all its lives: starts the worker, and starts it anew when it dies (PANIC, a trap, a query that
 * had to be killed). PostgreSQL recovers from its log in a few tenths of a second; what was acknowledged is there.
 *
 * A life that ends because the volume has ended (another writer took it over, it was closed) is the last one: to start
 * again would only fail the same way, and must not be tried against another writer.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Deferred, describeError, isCoded, systemClock, type Clock, type CodedError } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { compileWasm } from './pglite-module.ts';
import { EngineLife, type EngineConfiguration, type EnginePages } from './engine-life.ts';

/** Starts in a row that may fail before the engine gives up. The first ones follow each other at once. */
const ATTEMPTS_MAX = 5;
const ATTEMPT_DELAY_MS = 300;
const START_TIMEOUT_MS = 120_000;
const CLOSE_TIMEOUT_MS = 15_000;
const SHARED_BUFFERS_MB = 64;
const PAGE_CACHE_BYTES = 64 * 1024 * 1024;
/** Another start cannot change these: wrong program, wrong data, or a volume that is ours no longer. */
const FINAL_CODES = [
  'DATABASE_PGLITE_CHANGED',
  'DATABASE_DIRECTORY_FOREIGN',
  'DATABASE_ENGINE_CLOSED',
  'FILESYSTEM_VERSION',
  'FILESYSTEM_CORRUPT',
  'VOLUME_FENCED',
  'VOLUME_CLOSED',
];

export interface EngineOptions {
  /** Opens the pages for the next life, such as `() => SharedPageHost.open(sink)`. The last life's are disposed of by then. */
  readonly openPages: () => Promise<EnginePages>;
  /** The superuser's name. Fixed when the database is made. */
  readonly user?: string;
  /** The one database. Fixed when it is made. */
  readonly database?: string;
  readonly sharedBuffersMb?: number;
  /** The filesystem's own page cache, below PostgreSQL's. */
  readonly pageCacheBytes?: number;
  /** Further settings of PostgreSQL. Those that durability rests on cannot be changed. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly startTimeoutMs?: number;
  readonly clock?: Clock;
  /** A step of the start, for people who wait. */
  readonly onProgress?: (step: string) => void;
  readonly onLog?: (line: string) => void;
  /** A life has ended. Sessions have lost what they kept in the backend. */
  readonly onLost?: (reason: CodedError) => void;
}

type State =
  | { readonly kind: 'starting'; readonly up: Deferred<EngineLife> }
  | { readonly kind: 'up'; readonly life: EngineLife }
  | { readonly kind: 'ended'; readonly reason: CodedError };

export class Engine implements AsyncDisposable {
  readonly #options: EngineOptions;
  readonly #clock: Clock;
  #configuration: Promise<EngineConfiguration> | undefined;
  #state: State = { kind: 'ended', reason: databaseErrors.DATABASE_ENGINE_CLOSED([]) };
  #onLost: (reason: CodedError) => void;
  readonly #closing = new AbortController();

  private constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#onLost = options.onLost ?? (() => {});
  }

  /** @throws DATABASE_ENGINE_FAILED, DATABASE_DIRECTORY_FOREIGN, DATABASE_PGLITE_CHANGED, VOLUME_FENCED and others */
  static async start(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    engine.#begin();
    await engine.ready();
    return engine;
  }

  get user(): string {
    return this.#options.user ?? 'postgres';
  }

  get database(): string {
    return this.#options.database ?? 'postgres';
  }

  set onLost(run: (reason: CodedError) => void) {
    this.#onLost = run;
  }

  /** Why there will be no further life; undefined while there may be one. */
  get failure(): CodedError | undefined {
    return this.#state.kind === 'ended' ? this.#state.reason : undefined;
  }

  /** The life that serves now, once it is up. @throws the reason why there is none any more */
  ready(): Promise<EngineLife> {
    const state = this.#state;
    if (state.kind === 'up') return Promise.resolve(state.life);
    return state.kind === 'starting' ? state.up.promise : Promise.reject(state.reason);
  }

  /** The life that serves now, if one does. */
  get life(): EngineLife | undefined {
    return this.#state.kind === 'up' ? this.#state.life : undefined;
  }

  async close(): Promise<void> {
    const state = this.#state;
    if (state.kind === 'ended') return;
    const reason = databaseErrors.DATABASE_ENGINE_CLOSED([]);
    this.#state = { kind: 'ended', reason };
    this.#closing.abort(reason);
    if (state.kind === 'starting')
      await state.up.promise.then(
        (life) => life.close(CLOSE_TIMEOUT_MS),
        () => {},
      );
    else await state.life.close(CLOSE_TIMEOUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(): void {
    const up = new Deferred<EngineLife>();
    this.#state = { kind: 'starting', up };
    void this.#startUntilUp(up);
  }

  async #startUntilUp(up: Deferred<EngineLife>): Promise<void> {
    let failure = databaseErrors.DATABASE_ENGINE_CLOSED([]);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      try {
        const life = await this.#startOnce();
        // Closed meanwhile: whoever closes takes the life over and ends it.
        if (this.#state.kind === 'starting') this.#adopt(life);
        return up.resolve(life);
      } catch (error) {
        failure = asCoded(error);
        this.#options.onLog?.(`start ${attempt} of ${ATTEMPTS_MAX} failed: ${describeError(failure)}`);
        if (FINAL_CODES.includes(failure.code) || this.#state.kind === 'ended') break;
        if (attempt === ATTEMPTS_MAX)
          failure = databaseErrors.DATABASE_ENGINE_FAILED([ATTEMPTS_MAX, describeError(error)], {
            cause: error,
          });
        else await this.#clock.sleep(ATTEMPT_DELAY_MS * (attempt - 1), this.#closing.signal).catch(() => {});
      }
    }
    if (this.#state.kind === 'starting') this.#state = { kind: 'ended', reason: failure };
    up.reject(failure);
  }

  async #startOnce(): Promise<EngineLife> {
    this.#configuration ??= this.#configure();
    const configuration = await this.#configuration;
    const pages = await this.#options.openPages();
    return EngineLife.start({
      pages,
      configuration,
      clock: this.#clock,
      signal: this.#closing.signal,
      startTimeoutMs: this.#options.startTimeoutMs ?? START_TIMEOUT_MS,
      onProgress: this.#options.onProgress ?? (() => {}),
      onLog: this.#options.onLog ?? (() => {}),
    });
  }

  #adopt(life: EngineLife): void {
    this.#state = { kind: 'up', life };
    void life.ended.then((reason) => {
      const ours = this.#state.kind === 'up' && this.#state.life === life;
      if (ours && FINAL_CODES.includes(reason.code)) this.#state = { kind: 'ended', reason };
      else if (ours) this.#begin();
      this.#onLost(reason);
    });
  }

  /** The machine code of PostgreSQL is compiled once, here, and shared by all lives. */
  async #configure(): Promise<EngineConfiguration> {
    const entry = fileURLToPath(import.meta.resolve('@electric-sql/pglite'));
    const wasm = await compileWasm(await readFile(new URL('pglite.wasm', `file://${entry}`)));
    const manifest = await readFile(new URL('../package.json', `file://${entry}`), 'utf8');
    const buffersMb = this.#options.sharedBuffersMb ?? SHARED_BUFFERS_MB;
    return {
      wasm,
      pgliteVersion: (JSON.parse(manifest) as { version: string }).version,
      user: this.user,
      database: this.database,
      pageCacheBytes: this.#options.pageCacheBytes ?? PAGE_CACHE_BYTES,
      settings: { ...this.#options.settings, shared_buffers: `${buffersMb}MB` },
    };
  }
}

function asCoded(error: unknown): CodedError {
  return isCoded(error)
    ? error
    : databaseErrors.DATABASE_ENGINE_LOST([describeError(error)], { cause: error });
}
