/**
 * Everything that `up` starts: this machine's storage nodes, and what runs the databases (databases/databases-term.ts), in that order, and
 * ended in the other. Where several machines may run the databases, this one does while it holds the place (head-place.ts).
 */
import * as fs from 'node:fs';
import { type CodedError, Deferred, isCoded, systemClock, systemRandom } from '@rokka/kernel';
import { type Databases, generatePassword, probeNativeSupport, type Snapshots } from '@rokka/databases';
import type { Registry } from '@rokka/registry';
import { membershipsByNode } from '@rokka/volume';
import type { Arguments } from './arguments.ts';
import type { SupervisedChild } from './child.ts';
import type { NodeRequest } from './commands/node.ts';
import { openClusterRegistry } from './cluster-registry.ts';
import { type Cluster, listeningAddress, loadCluster, readCluster, tellArchive } from './cluster.ts';
import type { DatabaseRequest } from './commands/database.ts';
import { type DataDirectory, dataPaths, translated, writeDurably } from './data-directory.ts';
import { readArchiveEnd } from './databases/archive-end.ts';
import { archiveStore } from './databases/archive-store.ts';
import { openDatabases, openSecrets, openSnapshots } from './databases/cluster-databases.ts';
import { operatePast, type PastAnswer, type PastRequest } from './databases/database-past.ts';
import { operateDatabase } from './databases/database-operations.ts';
import { type DatabaseStatus, describeElsewhere } from './databases/database-status.ts';
import { DatabasesTerm, type DatabasesTermOptions } from './databases/databases-term.ts';
import { rokkaErrors } from './errors.ts';
import { HeadPlace, placeHolder } from './head-place.ts';
import { operateNode } from './node-operations.ts';
import { PlacedHeads } from './machines/heads/placed-heads.ts';
import type { ManyMachines, TokenRequest } from './machines/many-machines.ts';
import type { StandbyTls } from './machines/standby-tls.ts';
import { NodeSet } from './node-set.ts';
import { countSpares } from './node-survey.ts';
import type { Connection } from './processes/engine.ts';
import type { HeadProcessOptions } from './processes/head-process.ts';
import type { GatewayStatus } from './processes/gateway-process.ts';
import { type HeadDetail, headProcess } from './head-status.ts';
import type { NodeStatus, SparesStatus, SupervisorStatus } from './status.ts';

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
  readonly #standby: StandbyTls | undefined;
  readonly #nodes: NodeSet;
  readonly databases: Databases;
  /** Where no other machine may run the databases: the one term that there is. */
  readonly #only: DatabasesTerm | undefined;
  readonly #place: HeadPlace<DatabasesTerm> | undefined;
  readonly #registry: Registry;
  /** Where no machine can join, none is heard. */
  readonly #placed: PlacedHeads;
  readonly #failed = new Deferred<CodedError>();
  #headAccess: HeadProcessOptions['remote'];
  #started: Promise<void> | undefined;
  #stopping = false;

  private constructor(options: SupervisorOptions, parts: SupervisorParts) {
    const { cluster, machines, standby, registry } = parts;
    const { data } = options;
    this.#options = options;
    this.cluster = cluster;
    this.#machines = machines;
    this.#standby = standby;
    this.#registry = registry;
    this.#placed = machines?.desk.placed ?? this.#noPlaced();
    const network = machines?.desk.network ?? standby?.network;
    const { gone } = options.args;
    this.#nodes = new NodeSet({ ...options, cluster, access: machines?.nodeAccess, network, gone });
    const onChanged = () => this.#term?.controller.nudge();
    this.databases = openDatabases({ directory: data.path, registry, onChanged });
    const onFinal = (error: CodedError) => this.#failed.resolve(error);
    if (data.identity.registry) this.#place = this.#makePlace();
    else this.#only = this.#makeTerm({ placed: this.#placed, onFinal });
    void this.#place?.failed.then(onFinal);
  }

  /** Resolves with the reason if the head ends for good. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  /** Reads the cluster, or makes it. Starts no process yet. @throws ROKKA_ENGINE_FIXED, ROKKA_NO_NATIVE, what `ManyMachines.open` throws */
  static async create(options: SupervisorOptions): Promise<Supervisor> {
    const { data, args } = options;
    const resources = new AsyncDisposableStack();
    try {
      const registry = resources.use(await openClusterRegistry(data.path));
      const cluster = await clusterOf(registry, options);
      if (args.engine !== 'auto' && args.engine !== cluster.database.engine) {
        throw rokkaErrors.ROKKA_ENGINE_FIXED([cluster.database.engine, args.engine]);
      }
      const { joined } = data.identity;
      if (!joined) makePassword(data.path);
      const { standby, machines } = await openMachines(registry, options);
      resources.move();
      return new Supervisor(options, { cluster, registry, machines, standby });
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Resolves when clients may connect. Disposing it meanwhile ends the start. @throws ROKKA_STOPPED, a child's error */
  start(): Promise<void> {
    this.#started = this.#start();
    return this.#started;
  }

  get connection(): Connection {
    return this.#term?.controller.mainConnection as Connection;
  }

  async status(): Promise<SupervisorStatus> {
    const { main: head, aws } = this.#term ?? {};
    const [detail, gateway, databases, nodes, memberships, holder] = await Promise.all([
      head?.status(),
      aws?.gateway.status() as Promise<GatewayStatus | undefined> | undefined,
      this.#describeDatabases(),
      this.#nodes.status(),
      this.#memberships(),
      this.#place && placeHolder(this.#registry),
    ]);
    return {
      cluster: this.cluster.id,
      pid: process.pid,
      engine: this.cluster.database.engine,
      port: this.#options.args.port,
      freeBytes: freeBytes(this.#options.data.path),
      spares: await this.#spares(nodes),
      nodes: nodes.map((node) => ({
        ...node,
        ...(memberships && { groups: memberships.get(node.node)?.length ?? 0 }),
      })),
      holder,
      head: {
        ...headProcess(this.cluster.database, head, detail as HeadDetail | undefined),
        ready: head?.ready ?? false,
        detail,
      },
      databases,
      ...(aws && {
        gateway: {
          port: this.#options.args.awsPort,
          ...partOf(aws.gateway),
          ...(gateway && { restoreTests: gateway.restoreTests }),
        },
        agent: partOf(aws.agent),
      }),
    } as SupervisorStatus;
  }

  /** @throws ROKKA_WRONG_DIRECTORY, what operateNode throws */
  async node(request: NodeRequest): Promise<{ said: string }> {
    const { data } = this.#options;
    if (data.identity.joined && ['add', 'replace', 'spares'].includes(request.action)) {
      const use = 'a new node runs on the machine that made the cluster, or on one that joins';
      throw rokkaErrors.ROKKA_WRONG_DIRECTORY([data.path, 'a standby', use]);
    }
    return operateNode(request, {
      nodes: this.#nodes,
      status: () => this.status(),
      memberships: () => membershipsByNode(this.#registry),
    });
  }

  /** @throws ROKKA_WRONG_DIRECTORY, what `Databases` throws */
  async database(request: DatabaseRequest): Promise<{ databases: DatabaseStatus[] }> {
    if (request.action !== 'list') await this.#demandTerm();
    if (request.action === 'retain' && request.retentionDays > 0)
      this.#snapshots().demandBucket(`Nothing of database ${request.name} can be kept`);
    await operateDatabase(request, { databases: this.databases, engine: this.cluster.database.engine });
    return { databases: await this.#listDatabases() };
  }

  /** @throws ROKKA_WRONG_DIRECTORY, what operatePast throws */
  async past(request: PastRequest): Promise<PastAnswer> {
    if (request.action !== 'snapshots') await this.#demandTerm();
    const directory = this.#options.data.path;
    const secrets = openSecrets({ directory, registry: this.#registry });
    return operatePast(request, {
      databases: this.databases,
      snapshots: this.#snapshots(),
      store: archiveStore(directory),
      passwordOf: (name) => secrets.read(name),
      connection: (name) => this.#term?.controller.connection(name),
      head: (name) => this.#term?.controller.head(name),
      endOf: (volume) => readArchiveEnd(this.#registry, volume),
    });
  }

  /** @throws ROKKA_NOT_LISTENING, what `ManyMachines.token` throws */
  async token(request: TokenRequest): ReturnType<ManyMachines['token']> {
    if (!this.#machines) throw rokkaErrors.ROKKA_NOT_LISTENING([]);
    return this.#machines.token(request);
  }

  /** The head first: it needs the nodes to make its last writes durable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    if (this.#term?.main?.pid !== undefined) this.#options.onProgress('stopping the database');
    await this.#only?.[Symbol.asyncDispose]();
    await this.#place?.[Symbol.asyncDispose]();
    await this.#nodes[Symbol.asyncDispose]();
    await this.#machines?.[Symbol.asyncDispose]();
    await this.#standby?.[Symbol.asyncDispose]();
    await this.#registry[Symbol.asyncDispose]();
    // Nothing of a start that was cut short may go on behind the caller's back.
    await this.#started?.catch(() => {});
  }

  /** Ends every process without asking: what a power cut does. Dispose it as well. */
  kill(): void {
    this.#stopping = true;
    this.#placed[Symbol.dispose]();
    this.#only?.kill();
    this.#place?.kill();
    this.#nodes.kill();
  }

  async #start(): Promise<void> {
    await this.#nodes.start();
    if (this.#stopping) throw rokkaErrors.ROKKA_STOPPED(['the cluster']);
    await this.#prepareHeadAccess();
    await (this.#place ?? this.#only)?.start();
  }

  /** A head renews its certificate for as long as it runs; that of a place is made sure of before each term. */
  async #prepareHeadAccess(): Promise<void> {
    this.#headAccess = this.#standby?.access ?? (await this.#machines?.headAccess(this.#options.data.path));
  }

  /** As they run here, or as the machine that runs them says. */
  async #listDatabases(): Promise<DatabaseStatus[]> {
    const { controller } = this.#term ?? {};
    return controller ? controller.status() : (await this.databases.entries()).map(describeElsewhere);
  }

  /**
   * Wishes are said where they are carried out: there their ports are looked at, and their clients connect.
   * @throws ROKKA_WRONG_DIRECTORY
   */
  async #demandTerm(): Promise<void> {
    if (this.#term) return;
    const holder = await placeHolder(this.#registry);
    const use = holder ? `${holder} runs the databases: say it there` : 'no machine runs the databases now';
    throw rokkaErrors.ROKKA_WRONG_DIRECTORY([this.#options.data.path, 'a machine that stands by', use]);
  }

  #snapshots(): Snapshots {
    const onChanged = () => this.#term?.controller.nudge();
    return openSnapshots({ directory: this.#options.data.path, registry: this.#registry, onChanged });
  }

  /** None where the registry does not say. */
  async #describeDatabases(): Promise<DatabaseStatus[]> {
    try {
      return await this.#listDatabases();
    } catch (error) {
      if (!isCoded(error)) throw error;
      return [];
    }
  }

  /** Undefined where the registry does not say. */
  async #memberships(): Promise<Awaited<ReturnType<typeof membershipsByNode>> | undefined> {
    try {
      return await membershipsByNode(this.#registry);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return undefined;
    }
  }

  /** Undefined where none are wished for, or the registry does not say. */
  async #spares(nodes: readonly NodeStatus[]): Promise<SparesStatus | undefined> {
    try {
      return await countSpares(this.#registry, nodes);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return undefined;
    }
  }

  /** Undefined while another machine runs the databases. */
  get #term(): DatabasesTerm | undefined {
    return this.#only ?? this.#place?.term;
  }

  #makePlace(): HeadPlace<DatabasesTerm> {
    const { data, args, onLog, onProgress } = this.#options;
    const id = data.identity.joined?.id ?? 'the first machine';
    const { host } = this.#machines?.listen ?? args.listen ?? {};
    return new HeadPlace({
      registry: this.#registry,
      clock: systemClock,
      name: host === undefined ? id : `${id} (${host})`,
      beforeTerm: () => this.#prepareHeadAccess(),
      // Volumes of a cluster whose databases move are on the machine that runs them.
      makeTerm: (place, onFinal) => this.#makeTerm({ placed: this.#noPlaced(), place, onFinal }),
      onProgress,
      onLog,
    });
  }

  #noPlaced(): PlacedHeads {
    return new PlacedHeads({ clock: systemClock, random: systemRandom, log: this.#options.onLog });
  }

  #makeTerm(of: Pick<DatabasesTermOptions, 'placed' | 'place' | 'onFinal'>): DatabasesTerm {
    const headAccess = () => this.#headAccess;
    return new DatabasesTerm({ ...this.#options, ...of, registry: this.#registry, headAccess });
  }
}

interface SupervisorParts {
  readonly cluster: Cluster;
  readonly registry: Registry;
  /** On the machine that made the cluster. */
  readonly machines: ManyMachines | undefined;
  /** On one that joined to run the database when it must. */
  readonly standby: StandbyTls | undefined;
}

/** A standby makes nothing: it would make another cluster. */
async function clusterOf(registry: Registry, options: SupervisorOptions): Promise<Cluster> {
  const { cluster: id, identity } = options.data;
  if (identity.joined) return readCluster(registry, id);
  if (identity.registry && identity.archive) await tellArchive(registry, identity.archive);
  const engine = () => chooseEngine(options);
  return loadCluster({ registry, id, random: systemRandom, clock: systemClock, engine });
}

/** What takes part in a cluster of several machines. Its code, certificates above all, is loaded only where it is used. */
async function openMachines(
  registry: Registry,
  { data, args, onLog }: SupervisorOptions,
): Promise<{
  machines: ManyMachines | undefined;
  standby: StandbyTls | undefined;
}> {
  if (data.identity.joined) {
    const { StandbyTls: Standby } = await import('./machines/standby-tls.ts');
    return { machines: undefined, standby: await Standby.open(data, onLog) };
  }
  const { listen } = args;
  if (!listen && !(await listeningAddress(registry))) return { machines: undefined, standby: undefined };
  const { ManyMachines: Machines } = await import('./machines/many-machines.ts');
  return { machines: await Machines.open({ data, listen, log: onLog }), standby: undefined };
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

const partOf = ({ pid, ready, lastError }: SupervisedChild) => ({
  pid,
  ready,
  ...(lastError && { error: lastError.message }),
});
