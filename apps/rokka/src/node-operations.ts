/** What may be asked of the storage nodes while the cluster runs, and what is refused because it would hurt. */
import { must, type NodeId, unreachable } from '@rokka/kernel';
import type { GroupMembership } from '@rokka/volume';
import type { NodeRequest } from './commands/node.ts';
import { rokkaErrors } from './errors.ts';
import type { NodeSet } from './node-set.ts';
import type { SupervisorStatus } from './status.ts';

export interface NodeOperationParts {
  nodes: NodeSet;
  status(): Promise<SupervisorStatus>;
  /** The protection groups of each node, of all databases. */
  memberships(): Promise<ReadonlyMap<NodeId, readonly GroupMembership[]>>;
}

/**
 * Carries out the request. Answers with what to tell the person; copying goes on behind it.
 * @throws ROKKA_NO_NODE, ROKKA_NODE_GONE, ROKKA_NO_ZONE, ROKKA_NO_SPARE, ROKKA_REMOTE_REPLACE,
 *   ROKKA_NODE_NEEDED, ROKKA_NO_HEAD, what a child throws
 */
export async function operateNode(request: NodeRequest, of: NodeOperationParts): Promise<{ said: string }> {
  const { nodes, status } = of;
  if (request.action === 'add') {
    const { ordinal, zone } = await nodes.add(must(request.zone));
    return { said: `node ${ordinal} runs in zone ${zone}; it holds nothing until it replaces another one` };
  }
  if (request.action === 'spares') return keepSpares(must(request.perZone), nodes);
  const ordinal = must(request.ordinal);
  const { zone, node } = await nodes.find(ordinal);
  switch (request.action) {
    case 'drain': {
      if (!(await hasHeirs(ordinal, of))) throw rokkaErrors.ROKKA_NO_SPARE([ordinal, zone]);
      await nodes.change(ordinal, { leaving: true });
      return { said: `node ${ordinal} is being emptied; rokka node list shows how far` };
    }
    case 'keep':
      await nodes.change(ordinal, { leaving: false });
      return { said: `node ${ordinal} stays` };
    case 'replace': {
      // A node that is made here would be on this machine, whatever zone its name says.
      if (!nodes.isHere(ordinal)) throw rokkaErrors.ROKKA_REMOTE_REPLACE([ordinal, zone]);
      const heir = await nodes.add(zone);
      await nodes.change(ordinal, { leaving: true });
      return {
        said: `node ${heir.ordinal} takes over from node ${ordinal} in zone ${zone}; rokka node list shows how far`,
      };
    }
    case 'remove': {
      const current = await status();
      // Without a head nobody knows what the node holds; then it is not taken away.
      if (!current.head.detail) throw rokkaErrors.ROKKA_NO_HEAD([ordinal]);
      const groups = (await of.memberships()).get(node) ?? [];
      const databases = [...new Set(groups.map(({ name }) => name))].join(', ');
      if (groups.length > 0) throw rokkaErrors.ROKKA_NODE_NEEDED([ordinal, groups.length, databases]);
      await nodes.remove(ordinal);
      return { said: `node ${ordinal} is gone` };
    }
    default:
      return unreachable(request.action);
  }
}

async function keepSpares(perZone: number, nodes: NodeSet): Promise<{ said: string }> {
  await nodes.keepSpares(perZone);
  const said =
    perZone === 0
      ? 'no more spares are started; those that are there stay until rokka node remove N takes one away'
      : `${perZone} spare${perZone === 1 ? '' : 's'} in each zone that this machine has nodes of; rokka status says where one is lacking`;
  return { said };
}

/** Whether every protection group of the node finds another node of its zone that is not in it yet. */
async function hasHeirs(ordinal: number, { nodes, memberships }: NodeOperationParts): Promise<boolean> {
  const { zone, node } = await nodes.find(ordinal);
  const all = await nodes.everywhere();
  const others = all.filter((one) => one.zone === zone && !one.leaving && one.ordinal !== ordinal);
  const known = await memberships();
  const groupsOf = (of: NodeId) => (known.get(of) ?? []).map(({ volumeId, pg }) => `${volumeId}/${pg}`);
  return (
    others.length > 0 &&
    groupsOf(node).every((group) => others.some((one) => !groupsOf(one.node).includes(group)))
  );
}
