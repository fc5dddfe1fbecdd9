/** Who of this machine's storage nodes can take part, found out before any of them runs, and whether that is enough to begin with. */
import { type CodedError, type NodeId, systemDisk, type Zone } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { holdsNode } from '@rokka/storage';
import { placedGroups } from '@rokka/volume';
import { changeNode, type Cluster, listNodes, type NodeRecord, sparesWanted, ZONES } from './cluster.ts';
import { type DataDirectory, dataPaths } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import { membersAmong, type NodeFacts, sparesAmong, unreadableGroups } from './missing-nodes.ts';
import type { NodeStatus, SparesStatus } from './status.ts';

export interface SurveyedPlace {
  readonly data: Pick<DataDirectory, 'path' | 'identity'>;
  readonly cluster: Cluster;
}

/** Whether the node's directory has what the node wrote. */
export function holdsData({ data }: Pick<SurveyedPlace, 'data'>, { ordinal }: NodeRecord): boolean {
  return holdsNode(systemDisk, dataPaths.node(data.path, ordinal));
}

/** @param of.nodes those of this machine, which may start spares beside them */
export async function nodeFacts(
  registry: Registry,
  of: {
    missing: ReadonlySet<NodeId>;
    nodes: readonly { readonly record: NodeRecord; readonly isDown: boolean }[];
  },
): Promise<NodeFacts> {
  const { missing, nodes } = of;
  const staying = nodes.filter(({ record }) => !record.leaving);
  return {
    records: await listNodes(registry),
    groups: await placedGroups(registry),
    missing,
    spares: {
      perZone: await sparesWanted(registry),
      zones: new Set(staying.map(({ record }) => record.zone)),
      down: new Set(nodes.filter(({ isDown }) => isDown).map(({ record }) => record.node)),
    },
  };
}

/** How many spares each zone has, of those that answer; undefined where none are wished for. */
export async function countSpares(
  registry: Registry,
  nodes: readonly NodeStatus[],
): Promise<SparesStatus | undefined> {
  const perZone = await sparesWanted(registry);
  if (perZone === 0) return undefined;
  const groups = await placedGroups(registry);
  const usable = (zone: Zone) => nodes.filter((one) => one.zone === zone && one.detail && !one.leaving);
  return { perZone, zones: ZONES.map((zone) => ({ zone, spares: sparesAmong(usable(zone), groups) })) };
}

/**
 * The node of this machine that a person gives up.
 * @throws ROKKA_NO_NODE, ROKKA_NODE_NOT_GONE
 */
export async function demandGone(registry: Registry, place: SurveyedPlace, ordinal: number): Promise<void> {
  const { data } = place;
  const record = (await listNodes(registry)).find((one) => one.ordinal === ordinal && isHere(place, one));
  if (!record) throw rokkaErrors.ROKKA_NO_NODE([ordinal]);
  if (holdsData(place, record))
    throw rokkaErrors.ROKKA_NODE_NOT_GONE([ordinal, dataPaths.node(data.path, ordinal)]);
}

/**
 * Members that were written off and have their data again are nodes of the cluster again: nobody has taken their place yet, and
 * what they hold is what the registry knows them by.
 */
export async function takeBack(registry: Registry, place: SurveyedPlace): Promise<NodeRecord[]> {
  const { records, groups } = await nodeFacts(registry, { missing: new Set(), nodes: [] });
  const back = membersAmong(records, groups).filter(
    (one) => one.gone && isHere(place, one) && holdsData(place, one),
  );
  return Promise.all(back.map(({ ordinal }) => changeNode(registry, ordinal, { gone: false })));
}

/**
 * Enough of every group is there for it to be opened, or repaired. What a person has given up keeps nobody from starting, unless the
 * first database lies there: then that database cannot be opened.
 * @returns what cannot be opened all the same
 * @throws ROKKA_NODES_MISSING, ROKKA_COPIES_LOST
 */
export function demandReadable(place: SurveyedPlace, facts: NodeFacts): CodedError | undefined {
  const { data, cluster } = place;
  const unreadable = unreadableGroups(facts);
  // Where a machine has the database alone, those with nodes have said it.
  if (unreadable.length === 0 || data.identity.joined) return undefined;
  const involved = membersAmong(facts.records, unreadable);
  const databases = [...new Set(unreadable.map(({ name }) => name))].join(', ');
  const pathsOf = (records: readonly NodeRecord[]) =>
    records.map(({ ordinal }) => dataPaths.node(data.path, ordinal)).join(', ');
  const missing = involved.filter(({ node }) => facts.missing.has(node));
  if (missing.length > 0) {
    const numbers = missing.map(({ ordinal }) => ordinal).join(',');
    throw rokkaErrors.ROKKA_NODES_MISSING([pathsOf(missing), databases, numbers]);
  }
  const lost = rokkaErrors.ROKKA_COPIES_LOST([databases, pathsOf(involved.filter(({ gone }) => gone))]);
  if (unreadable.some(({ volumeId }) => volumeId === cluster.database.volumeId)) throw lost;
  return lost;
}

const isHere = ({ data }: SurveyedPlace, { machine }: NodeRecord) => machine === data.identity.joined?.id;
