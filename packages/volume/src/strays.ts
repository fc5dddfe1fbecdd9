/**
 * Segments that a writer left which died while it made a new group: it asked some nodes for theirs, the group was placed on others, and who had
 * been asked only that writer knew (growth.ts). Such a node is no member, and the registry names it as none that was.
 *
 * Nothing that anybody needs may go, so a node is told to drop what it has only where all of this holds: the group is whole without it; it
 * obeys an earlier writer, which the registry has replaced, and an earlier membership; and the segment is empty. An earlier writer cannot fill
 * it meanwhile: it writes to no group that the registry does not know of by it. One that comes as a newcomer later has its
 * segment made anew, and refuses this drop, should it come late, for the membership.
 */
import { isCoded, type Epoch, type NodeId } from '@rokka/kernel';
import { decodeSegmentState, encodePeerState, MESSAGE, type Epochs, type SegmentState } from '@rokka/storage';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';

const CALL_MS = 2_000;
/** Of a volume of a thousand groups, the nodes hear the questions one after the other. */
const ASKED_AT_ONCE_MAX = 16;
/** Of the first placing of a group, and of the first writer of a volume. There is none before it. */
const FIRST = 1 as Epoch;

export interface StraysOptions {
  /** Every node that may hold segments. */
  fleet(): readonly NodeId[];
  linkTo(node: NodeId): NodeLink | undefined;
  /** Members, and those who were and may still hold what they had. */
  isNamed(group: Group, node: NodeId): boolean;
}

export class Strays {
  readonly #options: StraysOptions;
  /** By group and node, the connection on which it was asked: what it has changes only by what it is told, or with its disk. */
  readonly #asked = new Map<string, number>();

  constructor(options: StraysOptions) {
    this.#options = options;
  }

  /** Nodes that have not been asked yet what they have of the group. */
  unasked(group: Group, volumeEpoch: Epoch): NodeLink[] {
    const { fleet, linkTo, isNamed } = this.#options;
    if (group.roster.epoch === FIRST || volumeEpoch === FIRST) return [];
    const links = fleet().flatMap((node) => (isNamed(group, node) ? [] : (linkTo(node) ?? [])));
    return links
      .filter((link) => link.up && this.#asked.get(keyOf(group, link)) !== link.connections)
      .slice(0, ASKED_AT_ONCE_MAX);
  }

  /** Has the node drop an empty segment of the group, where it has one. @throws what NodeLink.call throws */
  async ask(group: Group, link: NodeLink, volumeEpoch: Epoch): Promise<void> {
    this.#asked.set(keyOf(group, link), link.connections);
    const own = group.head(volumeEpoch);
    const found = await epochsOn(link, own);
    if (!found || found.volumeEpoch >= own.volumeEpoch || found.membershipEpoch >= own.membershipEpoch)
      return;
    const state = decodeSegmentState(await stateOn(link, { ...own, ...found }));
    if (!isEmpty(state) || this.#options.isNamed(group, link.node)) return;
    await group.dropOn(link, volumeEpoch);
  }
}

function isEmpty({ scl, coalesced, vdl, damaged, hydrating }: SegmentState): boolean {
  return scl === 0 && coalesced === 0 && vdl === 0 && !damaged && !hydrating;
}

/** What a node that has a segment of the group obeys; it refuses whoever asks at other epochs, and says so. */
async function epochsOn(link: NodeLink, own: ReturnType<Group['head']>): Promise<Epochs | undefined> {
  try {
    await stateOn(link, own);
    return own;
  } catch (error) {
    if (!isCoded(error)) throw error;
    if (error.code === 'STORAGE_NO_SEGMENT') return undefined;
    const { volumeEpoch, membershipEpoch } = error.detail;
    if (typeof volumeEpoch !== 'number' || typeof membershipEpoch !== 'number') throw error;
    return { volumeEpoch: volumeEpoch as Epoch, membershipEpoch: membershipEpoch as Epoch };
  }
}

function stateOn(link: NodeLink, at: ReturnType<Group['head']>): Promise<Uint8Array> {
  return link.call(MESSAGE.PEER_STATE, [encodePeerState(at)], { timeoutMs: CALL_MS });
}

function keyOf({ pg }: Group, { node }: NodeLink): string {
  return `${pg}/${node}`;
}
