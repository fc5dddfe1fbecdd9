/** Everything that `up` starts: six storage nodes and the head, in that order, and ended in the other. */
import * as fs from 'node:fs';
import { type CodedError, Deferred, systemClock, systemRandom } from '@rokka/kernel';
import { generatePassword, namespaceCommand, probeNativeSupport } from '@rokka/databases';
import type { Arguments } from './arguments.ts';
import { SupervisedChild } from './child.ts';
import type { NodeRequest } from './commands/node.ts';
import { openClusterRegistry } from './cluster-registry.ts';
import { loadCluster, type Cluster } from './cluster.ts';
import { type DataDirectory, dataPaths, translated, writeDurably } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import { operateNode } from './node-operations.ts';
import { ManyMachines, type TokenRequest } from './machines/many-machines.ts';
import { NodeSet } from './node-set.ts';
import type { Connection } from './processes/engine.ts';
import type { HeadProcessOptions } from './processes/head-process.ts';
import type { SupervisorStatus } from './status.ts';

const HEAD_READY_MS = 600_000;
const HEAD_STOP_MS = 120_000;

export interface SupervisorOptions {
  data: DataDirectory;
  args: Arguments;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class Supervisor implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly #options: SupervisorOptions;
  readonly #machines: ManyMachines | undefined;
  readonly #nodes: NodeSet;
  readonly #head: SupervisedChild;
  readonly #failed = new Deferred<CodedError>();
  #headAccess: HeadProcessOptions['remote'];
  #connection: Connection | undefined;
  #started: Promise<void> | undefined;
  #stopping = false;

  private constructor(options: SupervisorOptions, cluster: Cluster, machines: ManyMachines | undefined) {
    this.#options = options;
    this.cluster = cluster;
    this.#machines = machines;
    const access = machines?.nodeAccess;
    this.#nodes = new NodeSet({ ...options, cluster, ...(access && { access }) });
    this.#head = this.#headChild();
  }

  /** Resolves with the reason if the head ends for good. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  /** Reads the cluster, or makes it. Starts no process yet. @throws ROKKA_ENGINE_FIXED, ROKKA_NO_NATIVE, what `ManyMachines.open` throws */
  static async create(options: SupervisorOptions): Promise<Supervisor> {
    const { data } = options;
    await using registry = await openClusterRegistry(data.path);
    const cluster = await loadCluster({
      registry,
      id: data.cluster,
      random: systemRandom,
      clock: systemClock,
      engine: () => chooseEngine(options),
    });
    if (options.args.engine !== 'auto' && options.args.engine !== cluster.database.engine) {
      throw rokkaErrors.ROKKA_ENGINE_FIXED([cluster.database.engine, options.args.engine]);
    }
    makePassword(data.path);
    const { listen } = options.args;
    const machines = await ManyMachines.open({ data, listen, log: options.onLog });
    return new Supervisor(options, cluster, machines);
  }

  /** Resolves when clients may connect. Disposing it meanwhile ends the start. @throws ROKKA_STOPPED, a child's error */
  start(): Promise<void> {
    this.#started = this.#start();
    return this.#started;
  }

  get connection(): Connection {
    return this.#connection as Connection;
  }

  async status(): Promise<SupervisorStatus> {
    const [detail, nodes] = await Promise.all([this.#head.status(), this.#nodes.status()]);
    return {
      cluster: this.cluster.id,
      pid: process.pid,
      engine: this.cluster.database.engine,
      port: this.#options.args.port,
      freeBytes: freeBytes(this.#options.data.path),
      nodes,
      head: {
        pid: this.#head.pid,
        restarts: this.#head.restarts,
        ready: this.#head.ready,
        detail,
      },
    } as SupervisorStatus;
  }

  /** @throws what operateNode throws */
  node(request: NodeRequest): Promise<{ said: string }> {
    return operateNode(request, { nodes: this.#nodes, status: () => this.status() });
  }

  /** @throws ROKKA_NOT_LISTENING, what `ManyMachines.token` throws */
  async token(request: TokenRequest): ReturnType<ManyMachines['token']> {
    if (!this.#machines) throw rokkaErrors.ROKKA_NOT_LISTENING([]);
    return this.#machines.token(request);
  }

  /** The head first: it needs the nodes to make its last writes durable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    if (this.#head.pid !== undefined) this.#options.onProgress('stopping the database');
    await this.#head[Symbol.asyncDispose]();
    await this.#nodes[Symbol.asyncDispose]();
    await this.#machines?.[Symbol.asyncDispose]();
    // Nothing of a start that was cut short may go on behind the caller's back.
    await this.#started?.catch(() => {});
  }

  /** Ends every process without asking: what a power cut does. Dispose it as well. */
  kill(): void {
    this.#stopping = true;
    this.#head.kill();
    this.#nodes.kill();
  }

  async #start(): Promise<void> {
    await this.#nodes.start();
    if (this.#stopping) throw rokkaErrors.ROKKA_STOPPED(['the cluster']);
    this.#headAccess = await this.#machines?.headAccess(this.#options.data.path);
    this.#options.onProgress('opening the database');
    await this.#head.start();
  }

  #headChild(): SupervisedChild {
    const { data, args, onLog, onProgress } = this.#options;
    const { database } = this.cluster;
    const options = (): HeadProcessOptions => ({
      directory: data.path,
      cluster: this.cluster.id,
      volumeId: database.volumeId,
      engine: database.engine,
      port: args.port,
      cacheBytes: args.cacheMiB * 1024 * 1024,
      settings: args.settings,
      ...(args.postgres === undefined ? {} : { postgres: args.postgres }),
      ...(this.#headAccess && { remote: this.#headAccess }),
    });
    return new SupervisedChild({
      name: 'head',
      command: () => {
        const inner = {
          command: process.execPath,
          args: [`${import.meta.dirname}/processes/head-process.ts`, JSON.stringify(options())],
        };
        const { command, args: wrapped } = database.engine === 'native' ? namespaceCommand(inner) : inner;
        return {
          command,
          args: [...wrapped],
          env: { NODE_COMPILE_CACHE: dataPaths.compileCache(data.path) },
        };
      },
      clock: systemClock,
      readyTimeoutMs: HEAD_READY_MS,
      stopTimeoutMs: HEAD_STOP_MS,
      onProgress,
      onLog: (level, text) => onLog(level, text),
      onReady: (detail) => (this.#connection = detail as Connection),
      onFinal: (error) => this.#failed.resolve(error),
    });
  }
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = fs.statfsSync(directory);
  return bavail * bsize;
}

/** Native where it can be, unless told otherwise. @throws ROKKA_NO_NATIVE */
async function chooseEngine(options: SupervisorOptions): Promise<'native' | 'pglite'> {
  const { args, onLog } = options;
  if (args.engine === 'pglite') return 'pglite';
  const support = await probeNativeSupport();
  if (support.possible) return 'native';
  const why = support.reasons.map(({ message }) => message).join('; ');
  if (args.engine === 'native') throw rokkaErrors.ROKKA_NO_NATIVE([why]);
  onLog('warn', `native PostgreSQL cannot run here (${why}): using PGlite`);
  return 'pglite';
}

/** Made before the database is, and kept: the database is made with it. */
function makePassword(directory: string): void {
  const file = dataPaths.password(directory);
  if (fs.existsSync(file) && fs.statSync(file).size > 0) return;
  translated(directory, () => writeDurably(file, `${generatePassword(systemRandom)}\n`));
}
