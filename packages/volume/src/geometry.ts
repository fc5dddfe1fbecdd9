/**
 * Where pages live: protection groups one after the other, and which six nodes hold each. Pure.
 *
 * Two members in each zone, one full and one tail. Which of a zone's two nodes is the full one alternates from group to
 * group, so that pages and their work spread over all nodes.
 */
import { assert, type NodeId, type PageNumber, type PgIndex, type Zone } from '@rokka/kernel';
import type { PlacedMember } from '@rokka/quorum';

export interface PlaceableNode {
  readonly node: NodeId;
  readonly zone: Zone;
}

/** Members A to F of a new group, zone by zone. `nodes` are six, two in each of three zones. */
export function placeMembers(
  nodes: readonly PlaceableNode[],
  pg: PgIndex,
  options: { allFull: boolean },
): PlacedMember[] {
  const zones = [...new Set(nodes.map(({ zone }) => zone))];
  assert(nodes.length === 6 && zones.length === 3, 'six nodes in three zones');
  return zones.flatMap((zone) => {
    const pair = nodes.filter((node) => node.zone === zone);
    assert(pair.length === 2, () => `zone ${zone} has ${pair.length} nodes, not two`);
    return pair.map(({ node }, index) => {
      const full = options.allFull || index === pg % 2;
      return { node, zone, kind: full ? ('full' as const) : ('tail' as const) };
    });
  });
}

export function firstPageOf(pg: PgIndex, pagesPerGroup: number): PageNumber {
  return (pg * pagesPerGroup) as PageNumber;
}
