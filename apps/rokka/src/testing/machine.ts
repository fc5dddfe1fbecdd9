/** One machine of a test network: what runs on it is `rokka up` or `rokka join`, each on a data directory of its own. */
import * as path from 'node:path';
import type { ClientConfig } from 'pg';
import { must } from '@rokka/kernel';
import { askControl, CONTROL } from '../control.ts';
import { dataPaths } from '../data-directory.ts';
import type { JoinedStatus, SupervisorStatus } from '../status.ts';
import type { TestNet } from './netns.ts';
import { RokkaCommand } from './rokka-command.ts';
import { queryOnce, superuserConnection } from './superuser.ts';
import { kill, type TestPlace } from './test-place.ts';

const READY_MS = 240_000;
/** Inside of a machine every port is free. */
const POSTGRES_PORT = 5432;

const WITH_OWN_RUN = ['sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh'];

export interface MachineOptions {
  net: TestNet;
  place: TestPlace;
  /** Which machine of the net. */
  machine: number;
  /** Of its data directory. */
  name: string;
  /** A `/run` of its own, where volumes of other machines are not seen. */
  ownRun?: boolean;
  env?: Readonly<Record<string, string>>;
}

export class Machine implements AsyncDisposable {
  readonly data: string;
  readonly host: string;
  readonly #options: MachineOptions;
  #command: RokkaCommand | undefined;
  #args: readonly string[] = [];
  /** That it ends is what the test wants. */
  #ending = false;

  constructor(options: MachineOptions) {
    const { net, place, machine, name } = options;
    this.#options = options;
    this.host = net.host(machine);
    this.data = path.join(place.path, name);
  }

  get command(): RokkaCommand {
    return must(this.#command);
  }

  get number(): number {
    return this.#options.machine;
  }

  /** `rokka up` on this machine; resolves when it says so. */
  async up(...more: string[]): Promise<void> {
    const port = ['--port', String(POSTGRES_PORT)];
    await this.#start(['up', ...port, '--engine', 'native', '--cache', '64', ...more], 'rokka is up');
  }

  /** `rokka up --standby`; resolves when it waits. */
  async standBy(token: string, registry: string): Promise<void> {
    const flags = ['--standby', '--port', String(POSTGRES_PORT), '--cache', '64'];
    const joining = ['--join', token, '--registry', registry, '--listen', `${this.host}:7700`];
    await this.#start(['up', ...flags, ...joining], 'standing by');
    this.#args = ['up', ...flags];
  }

  /** Waits until it serves, having taken the database over. */
  async serves(): Promise<void> {
    await this.command.says('rokka is up', READY_MS);
  }

  async join(token: string, port: number): Promise<void> {
    await this.#start(['join', token, '--listen', `${this.host}:${port}`], 'rokka has joined');
    // From now on it remembers.
    this.#args = ['join'];
  }

  /** After everything on it was killed: the same again. */
  async again(): Promise<void> {
    await this.#start(this.#args, this.#args[0] === 'up' ? 'rokka is up' : 'rokka has joined');
  }

  /** The same, while another machine runs the databases. */
  async againBeside(): Promise<void> {
    await this.#start(this.#args, 'standing by');
  }

  /** Another command on this machine, on its data directory. */
  run(...args: string[]) {
    const { net, machine } = this.#options;
    return RokkaCommand.run([...args, '--data', this.data], { prefix: net.prefix(machine) });
  }

  /** A token, as a script would take it. */
  token(zone: string): Promise<string> {
    return this.#token('--zone', zone);
  }

  standbyToken(): Promise<string> {
    return this.#token('--standby');
  }

  async #token(...args: string[]): Promise<string> {
    const { out, err, status } = await this.run('token', ...args);
    if (status !== 0) throw new Error(err);
    return out.trim();
  }

  status(): Promise<SupervisorStatus> {
    return askControl<SupervisorStatus>(this.data, CONTROL.STATUS);
  }

  joined(): Promise<JoinedStatus> {
    return askControl<JoinedStatus>(this.data, CONTROL.STATUS);
  }

  /** Processes on its data directory, the supervisor first. */
  pids(): number[] {
    const own = this.#options.place
      .processes()
      .filter((line) => line.includes(this.data))
      .map((line) => Number(line.split(' ')[0]));
    return own.sort((a, b) => Number(b === this.command.pid) - Number(a === this.command.pid));
  }

  signal(signal: NodeJS.Signals): void {
    for (const pid of this.pids()) kill(pid, signal);
  }

  /** kill -9 of everything that runs on it. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.signal('SIGKILL');
    await this.command.ended();
  }

  /** By the server's unix socket, which no network fault touches. */
  connection(): ClientConfig {
    return superuserConnection(this.data, {
      host: dataPaths.postgresSockets(this.data),
      port: POSTGRES_PORT,
    });
  }

  query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return queryOnce<Row>(this.connection(), sql, values);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#command?.running) return;
    this.#ending = true;
    this.signal('SIGCONT');
    kill(this.#command.pid, 'SIGINT');
    await this.#command.ended();
  }

  async #start(args: readonly string[], says: string): Promise<void> {
    const { net, machine } = this.#options;
    this.#args = args;
    const { ownRun, env = {} } = this.#options;
    this.#command = new RokkaCommand([...args, '--data', this.data], {
      // Whatever runs in a namespace of the net has mounts of its own already.
      prefix: [...net.prefix(machine), ...(ownRun ? WITH_OWN_RUN : [])],
      env,
    });
    this.#ending = false;
    this.#command.process.once('close', (status, signal) => this.#onEnd(status ?? signal));
    await this.#command.says(says, READY_MS);
  }

  /** A test that waits in vain for something shall show what it waits for has ended. */
  #onEnd(how: number | string | null): void {
    if (this.#ending) return;
    const { out, err } = this.command;
    console.error(
      `${this.#options.name} on machine ${this.number} ended (${how}):\n${out.slice(-2_000)}${err}`,
    );
  }
}
