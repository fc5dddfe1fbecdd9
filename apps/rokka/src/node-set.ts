/** The storage nodes of a cluster: those of this machine as child processes of whoever owns the data directory, those of others as records. */
import {
  type CodedError,
  Deferred,
  describeError,
  isCoded,
  must,
  type NodeId,
  systemClock,
  systemRandom,
} from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { Network } from '@rokka/transport';
import type { ClusterAuthority } from '@rokka/trust';
import type { SupervisedChild } from './child.ts';
import { openClusterRegistry } from './cluster-registry.ts';
import { addNode, changeNode, type Cluster, listNodes, type NodeRecord, setSparesWanted } from './cluster.ts';
import { compileAhead } from './compile-cache.ts';
import { type DataDirectory, dataPaths } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import { recordedAddress } from './machines/cluster-network.ts';
import { deskAddress, type ListenAddress, nodeListenAddress } from './machines/listen-address.ts';
import { RemoteNodes } from './machines/remote-nodes.ts';
import type { NodeFacts } from './missing-nodes.ts';
import { NodeKeeper } from './node-keeper.ts';
import { demandGone, demandReadable, holdsData, nodeFacts, takeBack } from './node-survey.ts';
import type { NodeProcessOptions } from './processes/node-process.ts';
import type { NodeStatus } from './status.ts';
import { storageNodeChild } from './storage-node-child.ts';

/** A write quorum: with fewer there is no use in waiting for the head, unless other machines have nodes, too. */
const NODES_NEEDED = 4;
/** With a write quorum ready, the rest gets so long before the database opens without it. */
const STRAGGLERS_MS = 10_000;
/** What the node had is not there: it comes back with that, or never under its name (aurora.md trap 13). */
const LOST = ['ROKKA_NODE_MISSING', 'STORAGE_DIRECTORY_EMPTIED'];

export interface NodeSetOptions {
  data: DataDirectory;
  cluster: Cluster;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
  /** For other machines to reach the nodes of this one; absent while the cluster is on one machine. */
  access?: NodeAccess | undefined;
  /** TLS, to ask the nodes of other machines how they are. */
  network?: Network | undefined;
  /** Numbers of nodes of this machine whose data will not come back, as a person says. */
  gone?: readonly number[];
}

export interface NodeAccess {
  readonly listen: ListenAddress;
  readonly authority: ClusterAuthority;
}

interface SupervisedNode {
  record: NodeRecord;
  /** Another one when its data was away and is back. */
  child: SupervisedChild;
  /** Why it is down, or was not ready in time. */
  error?: string | undefined;
}

export class NodeSet implements AsyncDisposable {
  readonly #options: NodeSetOptions;
  readonly #nodes: SupervisedNode[];
  readonly #remote: RemoteNodes | undefined;
  readonly #keeper: NodeKeeper;
  #stopping = false;

  constructor(options: NodeSetOptions) {
    this.#options = options;
    const { cluster, data, network } = options;
    const here = data.identity.joined?.id;
    const present = cluster.nodes.filter(({ gone, machine }) => !gone && machine === here);
    this.#nodes = present.map((record) => this.#supervisedNode(record));
    this.#keeper = this.#makeKeeper();
    this.#remote =
      network &&
      new RemoteNodes({
        cluster: cluster.id,
        network,
        here,
        read: () => this.#registry(listNodes),
      });
  }

  /** Those that are to run here. */
  get records(): readonly NodeRecord[] {
    return this.#nodes.map(({ record }) => record);
  }

  /** Those and what runs on other machines. @throws what the registry throws */
  async everywhere(): Promise<readonly NodeRecord[]> {
    return [...this.records, ...((await this.#remote?.records()) ?? [])];
  }

  async status(): Promise<NodeStatus[]> {
    const here = this.#nodes.map(async ({ record, child, error }) => {
      const detail = (await child.status()) as NodeStatus['detail'];
      return { ...record, pid: child.pid, restarts: child.restarts, error, detail } as NodeStatus;
    });
    const [own, remote] = await Promise.all([Promise.all(here), this.#remote?.status() ?? []]);
    return [...own, ...remote];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    // A spare that is just starting ends with the others: what waits for it must not be waited for first.
    this.#keeper.stop();
    await Promise.all(this.#nodes.map(({ child }) => child[Symbol.asyncDispose]()));
    await this.#keeper[Symbol.asyncDispose]();
  }

  /** Ends every process without asking. Dispose it as well. */
  kill(): void {
    this.#stopping = true;
    this.#keeper.stop();
    for (const { child } of this.#nodes) child.kill();
  }

  /**
   * Waits for all of them, and no longer than STRAGGLERS_MS for those beyond a write quorum: they follow later. Those whose data
   * is missing are not waited for, as long as the others have enough of it.
   * @throws ROKKA_NODES_MISSING, ROKKA_COPIES_LOST, ROKKA_NODE_NOT_GONE, ROKKA_NO_NODE, what a child throws
   */
  async start(): Promise<void> {
    const { cluster } = this.#options;
    await this.#survey();
    const alone = !cluster.nodes.some(
      ({ machine, gone }) => !gone && machine !== this.#options.data.identity.joined?.id,
    );
    const starting = this.#nodes.filter(({ record }) => !this.#keeper.has(record.node));
    // Without a quorum the others can be read, and a spare comes to write with.
    const isWhole = starting.length === this.#nodes.length;
    const needed = alone && isWhole ? NODES_NEEDED : Math.min(NODES_NEEDED, starting.length);
    let ready = 0;
    const enough = new Deferred<void>();
    const outcomes: unknown[] = [];
    await compileAhead({ program: 'node', dataDirectory: this.#options.data.path });
    const all = starting.map(async (node) => {
      try {
        await this.#startNode(node);
        this.#options.onProgress(`storage nodes: ${++ready} of ${this.#nodes.length}`);
        if (ready === needed) enough.resolve();
      } catch (error) {
        outcomes.push(error);
        this.#failed(node, error);
      }
    });
    const late = new AbortController();
    const patience = enough.promise.then(() => systemClock.sleep(STRAGGLERS_MS, late.signal)).catch(() => {});
    await Promise.race([Promise.all(all), patience]);
    late.abort(new Error('no need to wait'));
    // Directories that were emptied are found out by their nodes.
    if (!this.#stopping && outcomes.some(isLost)) await this.#demandReadable(this.#keeper.missing);
    const other = outcomes.find((error) => !isLost(error));
    if (alone && ready < needed && other) throw other;
    this.#keeper.begin();
  }

  /** One more node for a zone, running. @throws ROKKA_NO_ZONE, and what a child throws */
  async add(zone: string): Promise<NodeRecord> {
    const record = await this.#registry((registry) => addNode(registry, { zone, random: systemRandom }));
    const node = this.#supervisedNode(record);
    this.#nodes.push(node);
    await this.#startNode(node);
    return node.record;
  }

  /** How many spares each zone is to have that this machine has nodes of. @throws what the registry throws */
  async keepSpares(perZone: number): Promise<void> {
    await this.#registry((registry) => setSparesWanted(registry, perZone));
    this.#keeper.wishChanged();
  }

  /** @throws ROKKA_NO_NODE */
  async change(ordinal: number, part: Pick<NodeRecord, 'leaving'>): Promise<NodeRecord> {
    const record = await this.#registry((registry) => changeNode(registry, ordinal, part));
    const node = this.#here(ordinal);
    if (node) node.record = record;
    return record;
  }

  /**
   * Ends the node for good. Its directory stays where it is, for whoever wants to look; one on another machine hears of
   * it when it registers next.
   * @throws ROKKA_NO_NODE
   */
  async remove(ordinal: number): Promise<void> {
    await this.#registry((registry) => changeNode(registry, ordinal, { gone: true }));
    const node = this.#here(ordinal);
    if (!node) return;
    this.#nodes.splice(this.#nodes.indexOf(node), 1);
    this.#keeper.forget(node.record.node);
    await node.child[Symbol.asyncDispose]();
  }

  /** @throws ROKKA_NO_NODE, ROKKA_NODE_GONE */
  async find(ordinal: number): Promise<NodeRecord> {
    const record = (await this.#registry(listNodes)).find((one) => one.ordinal === ordinal);
    if (!record) throw rokkaErrors.ROKKA_NO_NODE([ordinal]);
    if (record.gone) throw rokkaErrors.ROKKA_NODE_GONE([ordinal]);
    return record;
  }

  isHere(ordinal: number): boolean {
    return this.#here(ordinal) !== undefined;
  }

  #here(ordinal: number): SupervisedNode | undefined {
    return this.#nodes.find(({ record }) => record.ordinal === ordinal);
  }

  async #startNode(node: SupervisedNode): Promise<void> {
    if (this.#stopping) throw rokkaErrors.ROKKA_STOPPED([`node ${node.record.ordinal}`]);
    if (node.record.made && !holdsData(this.#options, node.record)) throw this.#missing(node.record);
    await this.#prepareAccess(node);
    await node.child.start();
    if (!node.record.made) await this.#change(node, { made: true });
  }

  /** Where it will listen is known to all before it does, so that nobody is told of a socket that only this machine has. */
  async #prepareAccess(node: SupervisedNode): Promise<void> {
    const { access, data } = this.#options;
    if (!access) return;
    const { node: id, ordinal } = node.record;
    const file = dataPaths.certificate(data.path, `node-${ordinal}`);
    const { ensureCertificate } = await import('./machines/local-authority.ts');
    await ensureCertificate(access.authority, { file, role: 'node', id, host: access.listen.host });
    const address = recordedAddress(nodeListenAddress(access.listen, ordinal));
    if (node.record.address !== address) await this.#change(node, { address });
  }

  async #change(node: SupervisedNode, part: Parameters<typeof changeNode>[2]): Promise<void> {
    const { ordinal } = node.record;
    node.record = await this.#registry((registry) => changeNode(registry, ordinal, part));
  }

  #failed(node: SupervisedNode, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    // Its process may have said the same.
    const isNews = node.error !== text;
    node.error = text;
    if (this.#stopping) return;
    if (isNews) this.#options.onLog('error', text);
    if (isLost(error)) this.#keeper.take(node.record, error.code === 'ROKKA_NODE_MISSING');
  }

  /** Before anything runs: who can take part, and whether that is enough. */
  async #survey(): Promise<void> {
    const { gone = [], onLog } = this.#options;
    for (const ordinal of gone) {
      await this.#registry((registry) => demandGone(registry, this.#options, ordinal));
      await this.remove(ordinal);
    }
    for (const record of await this.#registry((registry) => takeBack(registry, this.#options))) {
      this.#nodes.push(this.#supervisedNode(record));
      onLog('warn', `node ${record.ordinal} was written off, and its data is back: it takes part again`);
    }
    const without = this.#nodes.filter(({ record }) => record.made && !holdsData(this.#options, record));
    await this.#demandReadable(new Set(without.map(({ record }) => record.node)));
    for (const node of without) this.#failed(node, this.#missing(node.record));
  }

  /** @throws ROKKA_NODES_MISSING, ROKKA_COPIES_LOST */
  async #demandReadable(missing: ReadonlySet<NodeId>): Promise<void> {
    const lacking = demandReadable(this.#options, await this.#facts(missing));
    if (lacking) this.#options.onLog('error', describeError(lacking));
  }

  #facts(missing: ReadonlySet<NodeId> = this.#keeper.missing): Promise<NodeFacts> {
    const nodes = this.#nodes.map(({ record, error }) => ({
      record,
      isDown: error !== undefined && record.made,
    }));
    return this.#registry((registry) => nodeFacts(registry, { missing, nodes }));
  }

  #missing({ ordinal, node }: NodeRecord): CodedError {
    return rokkaErrors.ROKKA_NODE_MISSING([dataPaths.node(this.#options.data.path, ordinal), node]);
  }

  #makeKeeper(): NodeKeeper {
    return new NodeKeeper({
      clock: systemClock,
      facts: () => this.#facts(),
      holdsData: (record) => holdsData(this.#options, record),
      restart: ({ ordinal }) => this.#restart(ordinal),
      add: (zone) => this.add(zone),
      writeOff: (ordinal) => this.remove(ordinal),
      onLog: this.#options.onLog,
    });
  }

  #restart(ordinal: number): void {
    const node = must(this.#here(ordinal));
    if (this.#stopping) return;
    node.error = undefined;
    node.child = this.#child(node);
    this.#startNode(node).catch((error: unknown) => this.#failed(node, error));
  }

  async #registry<T>(work: (registry: Registry) => Promise<T>): Promise<T> {
    await using registry = await openClusterRegistry(this.#options.data.path);
    return await work(registry);
  }

  #supervisedNode(record: NodeRecord): SupervisedNode {
    const node = { record } as SupervisedNode;
    node.child = this.#child(node);
    return node;
  }

  #child(node: SupervisedNode): SupervisedChild {
    const { data, cluster, onLog } = this.#options;
    return storageNodeChild({
      directory: data.path,
      ordinal: node.record.ordinal,
      guarded: cluster.database.engine === 'native',
      options: () => this.#processOptions(node.record),
      onLog,
      onFinal: (error) => this.#failed(node, error),
    });
  }

  #processOptions({ node, zone, ordinal, made }: NodeRecord): NodeProcessOptions {
    const { data, cluster, access } = this.#options;
    return {
      cluster: cluster.id,
      node,
      zone,
      directory: dataPaths.node(data.path, ordinal),
      socketDirectory: dataPaths.sockets(data.path),
      address: dataPaths.nodeSocketName(ordinal),
      made,
      ...(access && {
        remote: {
          certificate: dataPaths.certificate(data.path, `node-${ordinal}`),
          desk: deskAddress(access.listen),
          listen: nodeListenAddress(access.listen, ordinal),
          neighbours: Object.fromEntries(
            this.#nodes.map(({ record }) => [record.node, dataPaths.nodeSocketName(record.ordinal)]),
          ),
        },
      }),
    };
  }
}

function isLost(error: unknown): error is CodedError {
  return isCoded(error) && LOST.includes(error.code);
}
