/** The six storage nodes of a cluster on this machine, as child processes of whoever owns the data directory. */
import * as fs from 'node:fs';
import { type CodedError, Deferred, systemClock } from '@rokka/kernel';
import { openSqliteRegistry } from '@rokka/registry';
import { SupervisedChild } from './child.ts';
import { type Cluster, markMade, type NodeRecord } from './cluster.ts';
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
}

export class NodeSet implements AsyncDisposable {
  readonly #options: NodeSetOptions;
  readonly #nodes: SupervisedNode[];
  #stopping = false;

  constructor(options: NodeSetOptions) {
    this.#options = options;
    this.#nodes = options.cluster.nodes.map((record) => this.#supervisedNode(record));
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
    const all = this.#nodes.map(async (node) => {
      try {
        await this.#startNode(node);
        this.#options.onProgress(`storage nodes: ${++ready} of ${this.#nodes.length}`);
        if (ready === NODES_NEEDED) enough.resolve();
      } catch (error) {
        outcomes.push(error);
        node.error = error instanceof Error ? error.message : String(error);
        if (!this.#stopping) this.#options.onLog('error', node.error);
      }
    });
    const late = new AbortController();
    const patience = enough.promise.then(() => systemClock.sleep(STRAGGLERS_MS, late.signal)).catch(() => {});
    await Promise.race([Promise.all(all), patience]);
    late.abort(new Error('no need to wait'));
    if (ready < NODES_NEEDED) throw outcomes[0];
  }

  async #startNode(node: SupervisedNode): Promise<void> {
    const { data } = this.#options;
    const directory = dataPaths.node(data.path, node.record.ordinal);
    if (node.record.made && !fs.existsSync(directory)) {
      throw rokkaErrors.ROKKA_NODE_MISSING([directory, node.record.node]);
    }
    await node.child.start();
    if (node.record.made) return;
    await using registry = await openSqliteRegistry({
      path: dataPaths.registry(data.path),
      clock: systemClock,
    });
    await markMade(registry, node.record);
    node.record = { ...node.record, made: true };
  }

  #supervisedNode(record: NodeRecord): SupervisedNode {
    const node: SupervisedNode = {
      record,
      child: this.#nodeChild(record, (error) => (node.error = error.message)),
    };
    return node;
  }

  #nodeChild(record: NodeRecord, onFinal: (error: CodedError) => void): SupervisedChild {
    const { data, onLog } = this.#options;
    const { engine } = this.#options.cluster.database;
    const options: NodeProcessOptions = {
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
        const args = [
          ...NODE_FLAGS,
          `${import.meta.dirname}/processes/node-process.ts`,
          JSON.stringify(options),
        ];
        // All six run the same program: what the first compiles the others, and later starts, need not (and less memory).
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
        onFinal(error);
        onLog('error', `storage node ${record.ordinal} stays down: ${error.code}: ${error.message}`);
      },
    });
  }
}
