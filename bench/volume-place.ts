/** A volume on six node processes, without a database: made once, opened as often as one likes. */
import * as path from 'node:path';
import { systemClock, systemRandom, type VolumeId } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { unixNetwork, type Network } from '@rokka/transport';
import { Volume } from '@rokka/volume';
import type { StorageNodes } from './storage-nodes.ts';

/** Of 10 GiB, as a cluster has them. */
export const PAGES_PER_GROUP = 1_310_720;

export class VolumePlace {
  readonly #registry = new MemoryRegistry();
  readonly #nodes: StorageNodes;
  readonly #network: Network;
  readonly #volumeId: VolumeId;

  private constructor(nodes: StorageNodes, of: { volumeId: VolumeId; network: Network }) {
    this.#nodes = nodes;
    this.#volumeId = of.volumeId;
    this.#network = of.network;
  }

  static async make(
    nodes: StorageNodes,
    options: { name?: string; pagesPerGroup?: number; groupsMax?: number; network?: Network } = {},
  ): Promise<VolumePlace> {
    const { name = 'bench', pagesPerGroup = PAGES_PER_GROUP, groupsMax = 1 } = options;
    const volumeId = name as VolumeId;
    const network = options.network ?? unixNetwork({ clock: systemClock });
    const place = new VolumePlace(nodes, { volumeId, network });
    const { list } = nodes;
    const made = { volumeId, name, pagesPerGroup, groupsMax, allFull: false, nodes: list };
    await Volume.create(place.#registry, made);
    return place;
  }

  open(): Promise<Volume> {
    return Volume.open({
      volumeId: this.#volumeId,
      cluster: 'bench',
      crowded: true,
      registry: this.#registry,
      network: this.#network,
      addressOf: (node) => path.join(this.#nodes.sockets, node),
      clock: systemClock,
      random: systemRandom,
    });
  }
}
