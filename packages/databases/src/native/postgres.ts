/**
 * A running PostgreSQL whose data directory lies on the head's mount. It is process 1 of its own namespace (confinement.ts):
 * when it dies all of its processes are gone before anybody hears of it, and it never outlives the head.
 *
 * Fault model: the server may end by itself at any moment (its PANIC, the OOM killer, kill -9). Then `exited` tells why, in
 * one coded line, and a new start recovers. A stale postmaster.pid is no obstacle: it names process 1, which is the new
 * server itself. That only one server works on the data is not its doing, but the fence of the volume's epoch.
 */
import * as fs from 'node:fs';
import {
  assert,
  deadline,
  Deferred,
  isCoded,
  machineMemoryBytes,
  systemClock,
  type Clock,
  type CodedError,
} from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { spawnConfined, type Confined, type ConfinedExit } from './confinement.ts';
import { describeExit, explainFailure } from './failure.ts';
import { parseLogLine, type LogLine } from './log-line.ts';
import { requireFreePort } from './port.ts';
import { CANNOT_CONNECT_NOW, probeReadiness, socketPath } from './readiness.ts';
import {
  configurationFile,
  configurationFilePath,
  hbaFile,
  postgresArguments,
  type SettingsContext,
} from './settings.ts';
import type { PostgresStage } from './stage.ts';

export interface NativePostgresOptions {
  readonly stage: PostgresStage;
  readonly port: number;
  /** 127.0.0.1 unless given. */
  readonly listenAddresses?: readonly string[];
  /** Networks beside this machine from which a password is enough, such as `10.0.0.0/8`. */
  readonly allowedNetworks?: readonly string[];
  /** A person's own settings; those that safety stands on are refused. */
  readonly settings?: Readonly<Record<string, string>>;
  /** From which shared_buffers is sized; the machine's, or the container's limit, unless given. */
  readonly memoryBytes?: number;
  readonly onLine?: (line: LogLine) => void;
  /** What a start that takes long is doing. */
  readonly onProgress?: (text: string) => void;
  /** A start may take long while it recovers; it fails when nothing was heard of it for so long. */
  readonly quietTimeoutMs?: number;
  /** Gives a start up; what was started is stopped. */
  readonly signal?: AbortSignal;
  readonly stopTimeoutsMs?: Partial<Readonly<Record<StopMode, number>>>;
  readonly clock?: Clock;
}

/** `fast` rolls sessions back and writes a checkpoint; `immediate` leaves that to recovery; `kill` is SIGKILL. */
export type StopMode = 'fast' | 'immediate' | 'kill';

export interface PostgresExit {
  /** Such as `exit status 0` or `SIGKILL`. */
  readonly how: string;
  /** Undefined where `stop` was the reason. */
  readonly error: CodedError | undefined;
  readonly lastLines: readonly LogLine[];
}

const QUIET_TIMEOUT_MS = 120_000;
const STOP_TIMEOUTS_MS: Readonly<Record<StopMode, number>> = {
  fast: 60_000,
  immediate: 10_000,
  kill: 10_000,
};
const STOP_SIGNALS: readonly (readonly [StopMode, NodeJS.Signals])[] = [
  ['fast', 'SIGINT'],
  ['immediate', 'SIGQUIT'],
  ['kill', 'SIGKILL'],
];
/** What the server says when it takes connections (postmaster.c). Then it is asked at once, and not at the next turn. */
const SAYS_READY = /^database system is ready to accept connections/;
const POLL_MS = 20;
const POLL_MS_MAX = 250;
const PROBE_TIMEOUT_MS = 2000;
const PORT_PATIENCE_MS = 1000;
const LINES_KEPT = 50;

export class NativePostgres implements AsyncDisposable {
  readonly port: number;
  readonly exited: Promise<PostgresExit>;
  readonly #server: Confined;
  readonly #clock: Clock;
  readonly #stopTimeoutsMs: Readonly<Record<StopMode, number>>;
  readonly #lastLines: LogLine[];
  #stopping = false;
  #ended = false;

  private constructor(options: NativePostgresOptions, server: Confined, lastLines: LogLine[]) {
    this.port = options.port;
    this.#server = server;
    this.#clock = options.clock ?? systemClock;
    this.#stopTimeoutsMs = { ...STOP_TIMEOUTS_MS, ...options.stopTimeoutsMs };
    this.#lastLines = lastLines;
    this.exited = server.exited.then((exit) => {
      this.#ended = true;
      removeSocket(options);
      return this.#describe(exit);
    });
  }

  /**
   * Starts the server and waits until it takes connections.
   *
   * @throws DATABASE_PORT_USED, DATABASE_ADDRESS_REFUSED, DATABASE_SETTING_OWNED, DATABASE_SETTING_INVALID,
   *   DATABASE_DIRECTORY_REFUSED, DATABASE_DIRECTORY_DAMAGED, DATABASE_OUT_OF_MEMORY, DATABASE_OUT_OF_SPACE,
   *   DATABASE_POSTGRES_FAILED, DATABASE_START_SLOW
   */
  static async start(options: NativePostgresOptions): Promise<NativePostgres> {
    const clock = options.clock ?? systemClock;
    const context = settingsContext(options);
    const args = postgresArguments(context, options.settings);
    await requireFreeAddresses(context, clock);
    removeSocket(options);
    fs.writeFileSync(configurationFilePath(context.configurationDirectory), configurationFile(context));
    fs.writeFileSync(`${context.configurationDirectory}/pg_hba.conf`, hbaFile(options.allowedNetworks));

    const lastLines: LogLine[] = [];
    let heardMs = clock.nowMs();
    let starting = true;
    const saysReady = new Deferred<void>();
    const hear = (text: string) => {
      const line = parseLogLine(text);
      // Clients that wait for the server ask a hundred times a second: that is no news of it, and hides what is.
      if (line.sqlState === CANNOT_CONNECT_NOW) return;
      heardMs = clock.nowMs();
      lastLines.push(line);
      if (lastLines.length > LINES_KEPT) lastLines.shift();
      if (SAYS_READY.test(line.message)) saysReady.resolve();
      if (starting && line.level === 'log') options.onProgress?.(line.message);
      options.onLine?.(line);
    };
    const server = await spawnConfined({
      program: { command: `${options.stage.binDirectory}/postgres`, args },
      account: options.stage.account,
      environment: options.stage.environment,
      onOutput: hear,
      onError: hear,
      clock,
    });
    const postgres = new NativePostgres(options, server, lastLines);
    try {
      await postgres.#waitUntilAccepting(context, options, {
        heardMs: () => heardMs,
        saysReady: saysReady.promise,
      });
    } catch (error) {
      // One that cannot even be killed hangs in the mount, and ends with the head; the reason of all is the first error.
      await postgres.stop('immediate').catch(() => {});
      throw error;
    } finally {
      starting = false;
    }
    return postgres;
  }

  /** The postmaster, as the machine sees it: for status, and for whoever wants to kill it. */
  get pid(): number {
    return this.#server.pid;
  }

  get running(): boolean {
    return !this.#ended;
  }

  /**
   * Stops the server, beginning with `mode`; each mode that does not end it in its time is followed by the next harder one.
   *
   * @throws DATABASE_POSTGRES_STUCK where even SIGKILL does not: a process of it waits in the kernel for our mount
   */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    this.#stopping = true;
    const modes = STOP_SIGNALS.map(([name]) => name);
    for (const [name, signal] of STOP_SIGNALS.slice(modes.indexOf(mode))) {
      if (this.#ended) return;
      this.#server.kill(signal);
      if (await this.#endsWithin(this.#stopTimeoutsMs[name])) return;
    }
    throw databaseErrors.DATABASE_POSTGRES_STUCK([this.pid, this.#stopTimeoutsMs.kill]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #waitUntilAccepting(
    context: SettingsContext,
    options: NativePostgresOptions,
    { heardMs, saysReady }: { heardMs: () => number; saysReady: Promise<void> },
  ): Promise<void> {
    const { quietTimeoutMs: quietMs = QUIET_TIMEOUT_MS, signal } = options;
    const clock = this.#clock;
    const path = socketPath(context.socketDirectory, context.port);
    let announced = false;
    void saysReady.then(() => (announced = true));
    for (let pauseMs = POLL_MS; ; pauseMs = Math.min(POLL_MS_MAX, pauseMs * 1.5)) {
      if (this.#ended) throw explainStart(await this.exited);
      if ((await probeReadiness({ path, timeoutMs: PROBE_TIMEOUT_MS, clock })) === 'accepting') return;
      if (clock.nowMs() - heardMs() > quietMs)
        throw databaseErrors.DATABASE_START_SLOW(['PostgreSQL, of which nothing was heard,', quietMs]);
      const sooner = announced ? [] : [saysReady];
      await Promise.race([clock.sleep(announced ? POLL_MS : pauseMs, signal), this.exited, ...sooner]);
    }
  }

  async #endsWithin(ms: number): Promise<boolean> {
    try {
      await deadline(this.exited, { what: 'PostgreSQL', ms, clock: this.#clock });
      return true;
    } catch (error) {
      if (isCoded(error, 'KERNEL_DEADLINE')) return false;
      throw error;
    }
  }

  #describe(exit: ConfinedExit): PostgresExit {
    const how = describeExit(exit);
    const lastLines = [...this.#lastLines];
    const lost = (why: string) => databaseErrors.DATABASE_POSTGRES_LOST([how, why]);
    const error = this.#stopping ? undefined : explainFailure(lastLines, lost);
    return { how, error, lastLines };
  }
}

function settingsContext(options: NativePostgresOptions): SettingsContext {
  const { port, stage } = options;
  assert(Number.isInteger(port) && port > 0 && port < 65_536, () => `no TCP port: ${port}`);
  const memoryBytes = options.memoryBytes ?? machineMemoryBytes();
  return {
    major: stage.major,
    port,
    listenAddresses: options.listenAddresses ?? ['127.0.0.1'],
    socketDirectory: stage.socketDirectory,
    dataDirectory: stage.dataDirectory,
    configurationDirectory: stage.configurationDirectory,
    memoryBytes,
  };
}

async function requireFreeAddresses(context: SettingsContext, clock: Clock): Promise<void> {
  const { port, socketDirectory } = context;
  const path = socketPath(socketDirectory, port);
  await patiently(clock, async () => {
    for (const address of context.listenAddresses) await requireFreePort({ address, port, clock });
    if ((await probeReadiness({ path, timeoutMs: PROBE_TIMEOUT_MS, clock })) !== 'absent')
      throw databaseErrors.DATABASE_PORT_USED([path, 'another PostgreSQL']);
  });
}

/** Of a server whose head was killed the last process may just be ending. */
async function patiently(clock: Clock, demand: () => Promise<void>): Promise<void> {
  const untilMs = clock.nowMs() + PORT_PATIENCE_MS;
  for (;;) {
    try {
      return await demand();
    } catch (error) {
      if (!isCoded(error, 'DATABASE_PORT_USED') || clock.nowMs() > untilMs) throw error;
      await clock.sleep(POLL_MS);
    }
  }
}

function explainStart(exit: PostgresExit): CodedError {
  const { error, how, lastLines } = exit;
  if (error && error.code !== 'DATABASE_POSTGRES_LOST') return error;
  const why = lastLines.findLast(({ level }) => level === 'fatal' || level === 'panic') ?? lastLines.at(-1);
  return databaseErrors.DATABASE_POSTGRES_FAILED([how, why?.message ?? 'it said nothing']);
}

/** On the real disk, where a server that was killed leaves them, and a power failure an empty lock that lets no other in. */
function removeSocket({ stage, port }: NativePostgresOptions): void {
  const path = socketPath(stage.socketDirectory, port);
  for (const file of [path, `${path}.lock`]) fs.rmSync(file, { force: true });
}
