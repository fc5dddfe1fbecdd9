/** A whole cluster, brought up by the command in a child process: what it consists of, and ways to kill its parts. */
import type { ClientConfig } from 'pg';
import { systemClock } from '@rokka/kernel';
import { askControl, CONTROL } from '../control.ts';
import type { SupervisorStatus } from '../status.ts';
import { type CommandEnd, type CommandOptions, RokkaCommand } from './rokka-command.ts';
import { queryOnce, superuserConnection } from './superuser.ts';
import { kill, type TestPlace } from './test-place.ts';

const READY_MS = 240_000;
const LOOK_AGAIN_MS = 100;
const ENGINE = 'native';

export interface Pids {
  readonly supervisor: number;
  /** Node 1 first: two of each zone, in order. */
  readonly nodes: readonly number[];
  readonly head: number;
  readonly postgres: number;
}

export class RokkaUnderTest implements AsyncDisposable {
  readonly place: TestPlace;
  readonly #extra: readonly string[];
  readonly #options: CommandOptions;
  #up: RokkaCommand;

  private constructor(place: TestPlace, extra: readonly string[], options: CommandOptions) {
    this.place = place;
    this.#extra = extra;
    this.#options = options;
    this.#up = this.#spawn();
  }

  /** Resolves when clients may connect. */
  static async start(
    place: TestPlace,
    options: { extra?: readonly string[] } & CommandOptions = {},
  ): Promise<RokkaUnderTest> {
    const rokka = new RokkaUnderTest(place, options.extra ?? [], options);
    try {
      await rokka.#ready();
      return rokka;
    } catch (error) {
      await rokka[Symbol.asyncDispose]();
      throw error;
    }
  }

  get up(): RokkaCommand {
    return this.#up;
  }

  /** After `up` has ended: the same command once more. */
  async again(): Promise<void> {
    this.#up = this.#spawn();
    await this.#ready();
  }

  status(): Promise<SupervisorStatus> {
    return askControl<SupervisorStatus>(this.place.data, CONTROL.STATUS);
  }

  /** With what the head says of itself: it has a moment to answer in, and on a busy machine it is asked again. */
  headStatus(): Promise<SupervisorStatus> {
    return this.until('the head answers', ({ head }) => head.detail !== undefined);
  }

  /** Waits until every part runs, so that each number is there. */
  async pids(): Promise<Pids> {
    const { pid, nodes, head } = await this.until(
      'every part runs',
      ({ nodes, head }) =>
        nodes.every((node) => node.pid !== undefined && node.detail !== undefined) &&
        head.detail?.engine['postgresPid'] !== undefined,
    );
    this.place.noteSockets();
    return {
      supervisor: pid,
      nodes: nodes.map((node) => node.pid as number),
      head: head.pid as number,
      postgres: head.detail?.engine['postgresPid'] as number,
    };
  }

  async until(what: string, holds: (status: SupervisorStatus) => boolean): Promise<SupervisorStatus> {
    const untilMs = systemClock.nowMs() + READY_MS;
    for (;;) {
      const status = await this.status();
      if (holds(status)) return status;
      if (systemClock.nowMs() > untilMs) {
        throw new Error(`${what}: not within ${READY_MS} ms; ${this.#up.out}${JSON.stringify(status)}`);
      }
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
  }

  kill(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): void {
    for (const pid of pids) kill(pid, signal);
  }

  connection(): ClientConfig {
    return superuserConnection(this.place.data, { host: '127.0.0.1', port: this.place.port });
  }

  query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.connection(), sql, values);
  }

  /** Asks for an orderly stop and waits for it. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<CommandEnd> {
    kill(this.#up.pid, signal);
    return this.#up.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#up.running) return;
    try {
      await this.stop();
    } finally {
      if (this.#up.running) kill(this.#up.pid);
    }
  }

  #spawn(): RokkaCommand {
    const { data, port } = this.place;
    const args = ['up', '--data', data, '--port', String(port), '--engine', ENGINE, '--cache', '64'];
    return new RokkaCommand([...args, ...this.#extra], this.#options);
  }

  async #ready(): Promise<void> {
    await this.#up.says('rokka is up', READY_MS);
    await this.pids();
  }
}
