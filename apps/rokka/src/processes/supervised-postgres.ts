/** PostgreSQL in its shim: started on the mount of a head, and started again when it ends by itself. */
import { Deferred, describeError, type Clock } from '@rokka/kernel';
import { NativePostgres, type PostgresStage } from '@rokka/databases';

const RESTART_PAUSE_MS = 200;
const RESTART_PAUSE_MS_MAX = 5_000;
/** A server that ran for so long was well: the next one starts at once. */
const WELL_AFTER_MS = 2_000;

export interface SupervisedPostgresOptions {
  readonly stage: PostgresStage;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly memoryBytes?: number;
  readonly clock: Clock;
  /** Called before each start of the server; what it gives is ended when the server is ready. */
  warmUp(): Disposable;
  progress(text: string): void;
  log(level: 'info' | 'warn' | 'error', text: string): void;
  /** It cannot be started again. */
  fail(error: unknown): void;
}

export class SupervisedPostgres implements AsyncDisposable {
  readonly #options: SupervisedPostgresOptions;
  readonly #stopping = new Deferred<void>();
  #server: NativePostgres | undefined;
  #loop: Promise<void> | undefined;
  #restarts = 0;
  #stopped = false;

  constructor(options: SupervisedPostgresOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#server?.running ? this.#server.pid : undefined;
  }

  get restarts(): number {
    return this.#restarts;
  }

  async start(): Promise<void> {
    this.#server = await this.#launch();
    this.#loop = this.#watch().catch((error: unknown) => {
      // A start that failed because everything ends is no failure.
      if (!this.#stopped) this.#options.fail(error);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#stopping.resolve();
    await this.#server?.stop('fast');
    await this.#loop;
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#options;
    let pauseMs = RESTART_PAUSE_MS;
    while (!this.#stopped) {
      const startedMs = clock.nowMs();
      const exit = await this.#server?.exited;
      if (this.#stopped) return;
      log(
        'warn',
        `PostgreSQL ended (${exit?.how}): ${exit?.error ? describeError(exit.error) : 'by itself'}; starting it again`,
      );
      if (clock.nowMs() - startedMs > WELL_AFTER_MS) pauseMs = RESTART_PAUSE_MS;
      else {
        await Promise.race([clock.sleep(pauseMs), this.#stopping.promise]);
        pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MS_MAX);
      }
      if (this.#stopped) return;
      this.#restarts++;
      this.#server = await this.#launch();
      // Told to stop while it was starting.
      if (this.#stopped) await this.#server.stop('fast');
    }
  }

  async #launch(): Promise<NativePostgres> {
    const { stage, port, settings, memoryBytes, clock, log, progress, warmUp } = this.#options;
    using _warming = warmUp();
    return await NativePostgres.start({
      stage,
      port,
      settings,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      clock,
      onProgress: progress,
      onLine: (line) => {
        if (line.level === 'fatal' || line.level === 'panic') log('warn', `PostgreSQL: ${line.message}`);
      },
    });
  }
}
