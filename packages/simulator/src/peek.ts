/**
 * One read by somebody who is no writer, at an older read point than the writer's: what a late request, or a replica, asks
 * for. The node must refuse it or give the page as it was then; the oracle of reads judges what it gives.
 */
import { asLsn, asPageNumber } from '@rokka/kernel';
import { encodeRead, MESSAGE, NodeClient } from '@rokka/storage';
import type { SimNode } from './sim-node.ts';
import { CLUSTER } from './sim-node.ts';
import { VOLUME_ID, type SimWriter } from './sim-writer.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 2_000;
const NAME = 'peek';

/** @throws what the node refuses it with, and what the connection throws */
export async function peek(
  world: World,
  of: { node: SimNode; writer: SimWriter; page: number; back: number },
): Promise<void> {
  const { node, writer, page, back } = of;
  const { volume } = writer;
  const { volumeEpoch = 0, groups = [] } = volume?.status() ?? {};
  const pages = volume?.mappedPages ?? 0;
  const { history } = world.oracles;
  const pg = Math.floor((page % Math.max(1, pages)) / world.knobs.pagesPerGroup);
  const record = history.volume?.groups[pg];
  if (!record || pg >= groups.length) return;
  const readPoint = asLsn(Math.max(0, Number(volume?.durable) - back));
  const branch = history.branch(volumeEpoch as never);
  const client = await NodeClient.connect({
    network: world.network.endpoint(NAME, { clock: world.clock }),
    address: node.id,
    hello: { cluster: CLUSTER, node: node.id },
    clock: world.clock,
    timeoutMs: TIMEOUT_MS,
  });
  try {
    const request = encodeRead({
      volume: VOLUME_ID,
      pg: record.pg,
      volumeEpoch: volumeEpoch as never,
      membershipEpoch: record.membership.epoch,
      pages: [asPageNumber(page % pages)],
      readPoint,
      requiredScl: branch.lastOf(record.pg, readPoint),
    });
    await client.request(MESSAGE.READ, [request], { timeoutMs: TIMEOUT_MS });
  } finally {
    client.close();
  }
}
