/** The cluster's nodes as its registry has them, for the volume's healer: looked up again and again while a head runs. */
import { describeError, isCoded, type Clock, type NodeId } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { FleetNode } from '@rokka/volume';
import { listNodes, type NodeRecord } from './cluster.ts';
import { dataPaths } from './data-directory.ts';
import { memberAddress } from './machines/cluster-network.ts';

const LOOK_AGAIN_MS = 1_000;

export interface FleetOptions {
  clock: Clock;
  /** This machine, as the records of nodes name it; undefined on the one that made the cluster. */
  machine?: string | undefined;
}

export class Fleet implements Disposable {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #machine: string | undefined;
  #records: readonly NodeRecord[];
  #cancel = () => {};

  private constructor(registry: Registry, options: FleetOptions, records: readonly NodeRecord[]) {
    this.#registry = registry;
    this.#clock = options.clock;
    this.#machine = options.machine;
    this.#records = records;
    this.#next();
  }

  /** @throws what the registry throws */
  static async open(registry: Registry, options: FleetOptions): Promise<Fleet> {
    return new Fleet(registry, options, await listNodes(registry));
  }

  nodes(): readonly FleetNode[] {
    return this.#records
      .filter(({ gone }) => !gone)
      .map(({ node, zone, leaving = false }) => ({ node, zone, leaving }));
  }

  /**
   * Whether the cluster still has the node. No record of a node is ever removed: one that is not known here is newer than the last
   * look, and whoever names it was read after that.
   */
  keeps(node: NodeId): boolean {
    return this.#find(node)?.gone !== true;
  }

  /**
   * What nodes are told about where this one is: an address that means the same on every machine, or the name of its
   * socket while the cluster is on one. Those that are gone have one, too: nobody answers there.
   */
  addressOf(node: NodeId): string {
    const record = this.#find(node);
    if (!record) return node;
    const { address, ordinal } = record;
    return address === undefined ? dataPaths.nodeSocketName(ordinal) : memberAddress(node, address);
  }

  /** How this machine reaches the node now: by its socket where it is here. */
  whereIs(node: string): string | undefined {
    const record = this.#find(node);
    if (!record) return undefined;
    return record.machine === this.#machine
      ? dataPaths.nodeSocketName(record.ordinal)
      : this.addressOf(record.node);
  }

  #find(node: string): NodeRecord | undefined {
    return this.#records.find((record) => record.node === node);
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #next(): void {
    this.#cancel = this.#clock.after(LOOK_AGAIN_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      this.#records = await listNodes(this.#registry);
    } catch (error) {
      // A registry that is busy for a moment: what was known last is good enough until the next look.
      if (!isCoded(error)) throw new Error(describeError(error), { cause: error });
      if (error.code === 'REGISTRY_CLOSED') return;
    }
    this.#next();
  }
}
