/**
 * The storage node: a store, the connections that talk to it, gossip and hydration with its peers. The composition of one process;
 * everything it needs from outside is passed in, so that the simulator runs the same node.
 */
import {
  Deferred,
  type Clock,
  type CodedError,
  type Disk,
  type NodeId,
  type Random,
  type Zone,
} from '@rokka/kernel';
import type { Listener, Network } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import { Gossip } from './gossip.ts';
import { Hydrator } from './hydration.ts';
import { NodeSession } from './node-session.ts';
import { describeNode, type NodeStatus } from './node-status.ts';
import { PagesServer } from './pages-server.ts';
import { ReadsServer } from './reads-server.ts';
import { Repairer } from './repair.ts';
import { Scrubber } from './scrub.ts';
import type { StoreTuning } from './store-tuning.ts';
import { SegmentStore } from './store.ts';

export interface StorageNodeOptions {
  disk: Disk;
  directory: string;
  network: Network;
  /** Where to listen. */
  address: string;
  cluster: string;
  zone: Zone;
  /** Which node the directory must belong to; a new directory gets a new identity where this is not given. */
  node?: NodeId;
  clock: Clock;
  random: Random;
  /** Between two rounds of gossip; default 1000. */
  gossipIntervalMs?: number;
  tuning?: Partial<StoreTuning>;
  /** Takes lines for people: damage found, a full disk, the reason for stopping. */
  log?: (line: string) => void;
}

const GOSSIP_INTERVAL_MS = 1_000;

export class StorageNode implements AsyncDisposable {
  readonly store: SegmentStore;
  readonly gossip: Gossip;
  readonly hydrator: Hydrator;
  readonly reads: ReadsServer;
  readonly pages: PagesServer;
  readonly repairer: Repairer;
  readonly scrubber: Scrubber;
  readonly #listener: Listener;
  readonly #sessions: Set<NodeSession>;
  readonly #failed: Deferred<CodedError>;
  #closed = false;

  private constructor(parts: {
    store: SegmentStore;
    gossip: Gossip;
    hydrator: Hydrator;
    reads: ReadsServer;
    pages: PagesServer;
    repairer: Repairer;
    scrubber: Scrubber;
    listener: Listener;
    sessions: Set<NodeSession>;
    failed: Deferred<CodedError>;
  }) {
    this.store = parts.store;
    this.gossip = parts.gossip;
    this.hydrator = parts.hydrator;
    this.reads = parts.reads;
    this.pages = parts.pages;
    this.repairer = parts.repairer;
    this.scrubber = parts.scrubber;
    this.#listener = parts.listener;
    this.#sessions = parts.sessions;
    this.#failed = parts.failed;
  }

  /**
   * Listens first, because an address in use is the sign that another process has this directory; reads the log before
   * the first frame is delivered.
   * @throws what Network.listen throws, and what SegmentStore throws
   */
  static async open(options: StorageNodeOptions): Promise<StorageNode> {
    const { network, address, clock, random } = options;
    const sessions = new Set<NodeSession>();
    const failed = new Deferred<CodedError>();
    let host: StorageNode | undefined;
    const listener = await network.listen(address, (connection) => {
      const session = new NodeSession(connection, {
        get store() {
          return (host as StorageNode).store;
        },
        get pages() {
          return (host as StorageNode).pages;
        },
        get reads() {
          return (host as StorageNode).reads;
        },
        changed: () => {
          host?.hydrator.consider();
          host?.repairer.consider();
        },
        fenced: (segment) => {
          host?.gossip.fenced(segment);
          host?.hydrator.consider();
        },
        status: () => host?.status(),
        shipped: (segment) => host?.gossip.shipped(segment),
        closed: (closed) => sessions.delete(closed),
      });
      if (host !== undefined && host.#closed) connection.close(storageErrors.STORAGE_CLOSED([address]));
      else sessions.add(session);
      return session;
    });
    try {
      const store = new SegmentStore({
        ...options,
        node: options.node,
        onFailure: (error) => failed.resolve(error),
        onDamage: () => host?.repairer.consider(),
        onAdvance: (segment) => {
          for (const session of sessions) session.advanced(segment);
        },
      });
      const intervalMs = options.gossipIntervalMs ?? GOSSIP_INTERVAL_MS;
      const gossip = new Gossip({ store, network, clock, random, intervalMs });
      const reads = new ReadsServer(store, clock);
      const pages = new PagesServer(store, clock);
      const { log } = options;
      const hydrator = new Hydrator({ store, network, clock, gossip, log });
      const repairer = new Repairer({ store, network, clock, log });
      const bytesPerSecond = store.tuning.scrubBytesPerSecond;
      const scrubber = new Scrubber({ store, repairer, clock, bytesPerSecond, log });
      host = new StorageNode({
        store,
        gossip,
        hydrator,
        reads,
        pages,
        repairer,
        scrubber,
        listener,
        sessions,
        failed,
      });
      return host;
    } catch (error) {
      await listener[Symbol.asyncDispose]();
      throw error;
    }
  }

  get identity() {
    return this.store.identity;
  }

  /** What STATUS answers. */
  status(): NodeStatus {
    return describeNode(this);
  }

  get address(): string {
    return this.#listener.address;
  }

  /** Resolves with the reason when the node cannot go on: dispose it and end the process. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  get connectionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Closes every connection, writes what pends, closes the files, and stops listening last: an address in use is what keeps
   * another process out of the directory, so it must not be free before the log is still.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const works = [this.scrubber, this.repairer, this.hydrator, this.gossip];
    await Promise.all(works.map((work) => work[Symbol.asyncDispose]()));
    for (const { connection } of this.#sessions) connection.close();
    this.reads[Symbol.dispose]();
    this.pages[Symbol.dispose]();
    this.store[Symbol.dispose]();
    await this.#listener[Symbol.asyncDispose]();
  }
}
