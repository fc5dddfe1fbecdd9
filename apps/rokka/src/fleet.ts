/** The cluster's nodes as its registry has them, for the volume's healer: looked up again and again while a head runs. */
import { describeError, isCoded, type Clock, type NodeId } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { FleetNode } from '@rokka/volume';
import { listNodes, type NodeRecord } from './cluster.ts';
import { dataPaths } from './data-directory.ts';

const LOOK_AGAIN_MS = 1_000;

export class Fleet implements Disposable {
  readonly #registry: Registry;
  readonly #clock: Clock;
  #records: readonly NodeRecord[];
  #cancel = () => {};

  private constructor(registry: Registry, clock: Clock, records: readonly NodeRecord[]) {
    this.#registry = registry;
    this.#clock = clock;
    this.#records = records;
    this.#next();
  }

  /** @throws what the registry throws */
  static async open(registry: Registry, clock: Clock): Promise<Fleet> {
    return new Fleet(registry, clock, await listNodes(registry));
  }

  nodes(): readonly FleetNode[] {
    return this.#records
      .filter(({ gone }) => !gone)
      .map(({ node, zone, leaving = false }) => ({ node, zone, leaving }));
  }

  /** Name of the node's socket. Those that are gone have one, too: nobody answers there. */
  addressOf(node: NodeId): string {
    const ordinal = this.#records.find((record) => record.node === node)?.ordinal;
    return ordinal === undefined ? node : dataPaths.nodeSocketName(ordinal);
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
