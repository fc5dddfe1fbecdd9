/** The storage nodes of a cluster on this machine, as child processes of whoever owns the data directory. */
import * as fs from 'node:fs';
import { type CodedError, Deferred, isCoded, systemClock, systemRandom } from '@rokka/kernel';
import { openSqliteRegistry, type Registry } from '@rokka/registry';
import { SupervisedChild } from './child.ts';
import { addNode, changeNode, type Cluster, type NodeRecord } from './cluster.ts';
import { compileCacheEnvironment, compileNodeCode, NODE_FLAGS } from './compile-cache.ts';
import { type DataDirectory, dataPaths } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import type { NodeProcessOptions } from './processes/node-process.ts';
import type { NodeStatus } from './status.ts';

const NODE_READY_MS = 120_000;
const NODE_STOP_MS = 10_000;
/** A write quorum: with fewer there is no use in waiting for the head. */
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
  #stopping = false;

  constructor(options: NodeSetOptions) {
    this.#options = options;
    const present = options.cluster.nodes.filter(({ gone }) => !gone);
    this.#nodes = present.map((record) => this.#supervisedNode(record));
  }

  /** Those that are to run. */
  get records(): readonly NodeRecord[] {
    return this.#nodes.map(({ record }) => record);
  }

  async status(): Promise<NodeStatus[]> {
    return Promise.all(
      this.#nodes.map(async ({ record, child, error }) => {
        const detail = (await child.status()) as NodeStatus['detail'];
        return { ...record, pid: child.pid, restarts: child.restarts, error, detail } as NodeStatus;
      }),
    );
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
    let ready = 0;
    const enough = new Deferred<void>();
    const outcomes: unknown[] = [];
    await compileNodeCode(this.#options.data.path);
    const all = [...this.#nodes].map(async (node) => {
      try {
        await this.#startNode(node);
        this.#options.onProgress(`storage nodes: ${++ready} of ${this.#nodes.length}`);
        if (ready === NODES_NEEDED) enough.resolve();
      } catch (error) {
        outcomes.push(error);
        this.#failed(node, error);
      }
    });
    const late = new AbortController();
    const patience = enough.promise.then(() => systemClock.sleep(STRAGGLERS_MS, late.signal)).catch(() => {});
    await Promise.race([Promise.all(all), patience]);
    late.abort(new Error('no need to wait'));
    if (ready < NODES_NEEDED) throw outcomes[0];
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
    const node = this.#find(ordinal);
    node.record = await this.#registry((registry) => changeNode(registry, ordinal, part));
    return node.record;
  }

  /** Ends the node for good. Its directory stays where it is, for whoever wants to look. @throws ROKKA_NO_NODE */
  async remove(ordinal: number): Promise<void> {
    const node = this.#find(ordinal);
    await this.#registry((registry) => changeNode(registry, ordinal, { gone: true }));
    this.#nodes.splice(this.#nodes.indexOf(node), 1);
    await node.child[Symbol.asyncDispose]();
  }

  /** @throws ROKKA_NO_NODE, ROKKA_NODE_GONE */
  find(ordinal: number): NodeRecord {
    return this.#find(ordinal).record;
  }

  #find(ordinal: number): SupervisedNode {
    const node = this.#nodes.find(({ record }) => record.ordinal === ordinal);
    if (node) return node;
    const known = this.#options.cluster.nodes.some((record) => record.ordinal === ordinal);
    throw known ? rokkaErrors.ROKKA_NODE_GONE([ordinal]) : rokkaErrors.ROKKA_NO_NODE([ordinal]);
  }

  async #startNode(node: SupervisedNode): Promise<void> {
    const { data } = this.#options;
    const directory = dataPaths.node(data.path, node.record.ordinal);
    if (node.record.made && !fs.existsSync(directory)) {
      throw rokkaErrors.ROKKA_NODE_MISSING([directory, node.record.node]);
    }
    await node.child.start();
    if (node.record.made) return;
    node.record = await this.#registry((registry) =>
      changeNode(registry, node.record.ordinal, { made: true }),
    );
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
      onLog('error', `no node comes in place of node ${ordinal}: ${String(error)}`);
    }
  }

  async #registry<T>(work: (registry: Registry) => Promise<T>): Promise<T> {
    const path = dataPaths.registry(this.#options.data.path);
    await using registry = await openSqliteRegistry({ path, clock: systemClock });
    return await work(registry);
  }

  #supervisedNode(record: NodeRecord): SupervisedNode {
    const node: SupervisedNode = {
      record,
      child: this.#nodeChild(record, {
        isMade: () => node.record.made,
        onFinal: (error) => this.#failed(node, error),
      }),
    };
    return node;
  }

  #nodeChild(
    record: NodeRecord,
    on: { isMade(): boolean; onFinal(error: CodedError): void },
  ): SupervisedChild {
    const { data, onLog } = this.#options;
    const { engine } = this.#options.cluster.database;
    const options: Omit<NodeProcessOptions, 'made'> = {
      cluster: this.#options.cluster.id,
      node: record.node,
      zone: record.zone,
      directory: dataPaths.node(data.path, record.ordinal),
      socketDirectory: dataPaths.sockets(data.path),
      address: dataPaths.nodeSocketName(record.ordinal),
    };
    return new SupervisedChild({
      name: `storage node ${record.ordinal}`,
      command: () => {
        const given: NodeProcessOptions = { ...options, made: on.isMade() };
        const args = [
          ...NODE_FLAGS,
          `${import.meta.dirname}/processes/node-process.ts`,
          JSON.stringify(given),
        ];
        // All of them run the same program: what the first compiles the others, and later starts, need not (and less memory).
        const env = compileCacheEnvironment(data.path);
        // Where the kernel can, it ends the node with us even while the node hangs on its disk and hears nothing.
        return engine === 'native'
          ? { command: 'setpriv', args: ['--pdeathsig', 'KILL', '--', process.execPath, ...args], env }
          : { command: process.execPath, args, env };
      },
      clock: systemClock,
      readyTimeoutMs: NODE_READY_MS,
      stopTimeoutMs: NODE_STOP_MS,
      onLog: (level, text) =>
        onLog(level, text.startsWith('storage node') ? text : `storage node ${record.ordinal}: ${text}`),
      onFinal: (error) => {
        onLog('error', `storage node ${record.ordinal} stays down: ${error.code}`);
        on.onFinal(error);
      },
    });
  }
}
