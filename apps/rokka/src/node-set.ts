/** The storage nodes of a cluster: those of this machine as child processes of whoever owns the data directory, those of others as records. */
import * as fs from 'node:fs';
import { Deferred, describeError, isCoded, systemClock, systemRandom } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { Network } from '@rokka/transport';
import type { ClusterAuthority } from '@rokka/trust';
import type { SupervisedChild } from './child.ts';
import { openClusterRegistry } from './cluster-registry.ts';
import { addNode, changeNode, type Cluster, listNodes, type NodeRecord } from './cluster.ts';
import { compileAhead } from './compile-cache.ts';
import { type DataDirectory, dataPaths } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import { recordedAddress } from './machines/cluster-network.ts';
import { deskAddress, type ListenAddress, nodeListenAddress } from './machines/listen-address.ts';
import { RemoteNodes } from './machines/remote-nodes.ts';
import type { NodeProcessOptions } from './processes/node-process.ts';
import type { NodeStatus } from './status.ts';
import { storageNodeChild } from './storage-node-child.ts';

/** A write quorum: with fewer there is no use in waiting for the head, unless other machines have nodes, too. */
const NODES_NEEDED = 4;
/** With a write quorum ready, the rest gets so long before the database opens without it. */
const STRAGGLERS_MS = 10_000;
/** What the node had is not there any more: it never comes back under its name (aurora.md trap 13). */
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
}

export interface NodeAccess {
  readonly listen: ListenAddress;
  readonly authority: ClusterAuthority;
}

interface SupervisedNode {
  record: NodeRecord;
  readonly child: SupervisedChild;
  /** Why it is down for good, or was not ready in time. */
  error?: string;
  /** Another one is coming in its place. */
  lost?: boolean;
}

export class NodeSet implements AsyncDisposable {
  readonly #options: NodeSetOptions;
  readonly #nodes: SupervisedNode[];
  readonly #remote: RemoteNodes | undefined;
  #stopping = false;

  constructor(options: NodeSetOptions) {
    this.#options = options;
    const { cluster, data, network } = options;
    const here = data.identity.joined?.id;
    const present = cluster.nodes.filter(({ gone, machine }) => !gone && machine === here);
    this.#nodes = present.map((record) => this.#supervisedNode(record));
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
    await Promise.all(this.#nodes.map(({ child }) => child[Symbol.asyncDispose]()));
  }

  /** Ends every process without asking. Dispose it as well. */
  kill(): void {
    this.#stopping = true;
    for (const { child } of this.#nodes) child.kill();
  }

  /** Waits for all of them, and no longer than STRAGGLERS_MS for those beyond a write quorum: they follow later. */
  async start(): Promise<void> {
    const { cluster } = this.#options;
    const alone = !cluster.nodes.some(
      ({ node, gone }) => !gone && !this.#nodes.some((own) => own.record.node === node),
    );
    const needed = alone ? NODES_NEEDED : Math.min(NODES_NEEDED, this.#nodes.length);
    let ready = 0;
    const enough = new Deferred<void>();
    const outcomes: unknown[] = [];
    await compileAhead({ program: 'node', dataDirectory: this.#options.data.path });
    const all = [...this.#nodes].map(async (node) => {
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
    if (alone && ready < needed) throw outcomes[0];
  }

  /** One more node for a zone, running. @throws ROKKA_NO_ZONE, and what a child throws */
  async add(zone: string): Promise<NodeRecord> {
    const record = await this.#registry((registry) => addNode(registry, { zone, random: systemRandom }));
    const node = this.#supervisedNode(record);
    this.#nodes.push(node);
    await this.#startNode(node);
    return node.record;
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
    const { data } = this.#options;
    const directory = dataPaths.node(data.path, node.record.ordinal);
    if (node.record.made && !fs.existsSync(directory)) {
      throw rokkaErrors.ROKKA_NODE_MISSING([directory, node.record.node]);
    }
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
    node.error = error instanceof Error ? error.message : String(error);
    if (this.#stopping) return;
    this.#options.onLog('error', node.error);
    if (!isCoded(error) || !LOST.includes(error.code) || node.lost) return;
    node.lost = true;
    void this.#replaceLost(node);
  }

  /** A node without its data is no member any more; a new one of its zone is what the healer needs to replace it. */
  async #replaceLost(node: SupervisedNode): Promise<void> {
    const { onLog } = this.#options;
    const { ordinal, zone } = node.record;
    try {
      await this.remove(ordinal);
      const { ordinal: heir } = await this.add(zone);
      onLog(
        'warn',
        `node ${heir} comes in place of node ${ordinal} in zone ${zone}, and copies from the others`,
      );
    } catch (error) {
      onLog('error', `no node comes in place of node ${ordinal}: ${describeError(error)}`);
    }
  }

  async #registry<T>(work: (registry: Registry) => Promise<T>): Promise<T> {
    await using registry = await openClusterRegistry(this.#options.data.path);
    return await work(registry);
  }

  #supervisedNode(record: NodeRecord): SupervisedNode {
    const { data, cluster, onLog } = this.#options;
    const node: SupervisedNode = {
      record,
      child: storageNodeChild({
        directory: data.path,
        ordinal: record.ordinal,
        guarded: cluster.database.engine === 'native',
        options: () => this.#processOptions(node.record),
        onLog,
        onFinal: (error) => this.#failed(node, error),
      }),
    };
    return node;
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
