/**
 * Which faults the protocol must survive at this instant. Pure.
 *
 * Two budgets, for they are two promises. Durability: a member may lose data for good only while those that never did are
 * still a read quorum and a write quorum of every group; the first keeps what was acknowledged findable, the second lets
 * the volume go on without a new member. Availability: any number may be away for a while; then nothing is expected to
 * go on, and nothing may be lost either.
 *
 * A newcomer that does not hold everything yet is no loss to anybody: where it is gone it is given up, and the others go on as
 * if it had never come. One that was forced in is needed, and one that holds everything may stay at any moment.
 *
 * A member that is rebuilt as a new one has nothing to do with what stood in its place: `rebuilt` gives its budget back.
 */
import type { NodeId } from '@rokka/kernel';
import { allMembers, satisfied, type QuorumFormulas } from '@rokka/quorum';
import type { VolumeRecord } from '@rokka/volume';

export interface AtlasGroup {
  /** As they are where those for whom `isLost` answers true are gone, and newcomers among them were given up. */
  formulas(isLost: (node: NodeId) => boolean): QuorumFormulas;
  readonly members: readonly NodeId[];
  /** Newcomers that do not hold everything yet, and who never got a segment: nothing can be read from them. */
  readonly incomplete?: readonly NodeId[];
}

/** What a set of members that are there is good for, in the worst of the groups. */
export type Availability = 'writes' | 'recovery' | 'nothing';

export interface AtlasOptions {
  /** As they are at the time of the question. */
  groups: () => readonly AtlasGroup[];
  /** Members of a group that is being made: it may come to stand on any of them. */
  growing?: () => ReadonlySet<NodeId>;
}

export class FaultAtlas {
  readonly #options: AtlasOptions;
  readonly #lost = new Set<NodeId>();

  constructor(options: AtlasOptions) {
    this.#options = options;
  }

  /** Members whose data is wrong or gone, for good. */
  get lost(): ReadonlySet<NodeId> {
    return this.#lost;
  }

  isLost(node: NodeId): boolean {
    return this.#lost.has(node);
  }

  /** Whether the member may lose data now. One that has lost some may lose more. */
  mayLose(node: NodeId): boolean {
    if (this.#options.growing?.().has(node)) return false;
    if (this.#lost.has(node)) return true;
    const groups = this.#options.groups();
    // Before the first group nothing can be judged: what is lost then would count against groups that come later.
    if (groups.length === 0) return false;
    const isLost = (member: string) => member === node || this.#lost.has(member as NodeId);
    return groups.every((group) => {
      const { read, write } = group.formulas(isLost);
      const canBeRead = (member: string) =>
        !isLost(member) && group.incomplete?.includes(member as NodeId) !== true;
      return satisfied(read, canBeRead) && satisfied(write, (member) => !isLost(member));
    });
  }

  /** Takes the loss from the budget; answers false, and takes nothing, where it would be too much. */
  lose(node: NodeId): boolean {
    if (!this.mayLose(node)) return false;
    this.#lost.add(node);
    return true;
  }

  /** The member's place was taken by one that is complete. */
  rebuilt(node: NodeId): void {
    this.#lost.delete(node);
  }

  /** What can go on while only the members for which `isThere` answers true are there, and those that lost data count for nothing. */
  availability(isThere: (node: NodeId) => boolean): Availability {
    const isLost = (member: string) => this.#lost.has(member as NodeId);
    const counts = (member: string) => isThere(member as NodeId) && !isLost(member);
    const all = this.#options.groups().map(({ formulas }) => formulas(isLost));
    if (all.every(({ write }) => satisfied(write, counts))) return 'writes';
    return all.every(({ read }) => satisfied(read, counts)) ? 'recovery' : 'nothing';
  }
}

/**
 * Those of the `lost` who are members no more and hold nothing of what they lost: they are as good as any other machine. That is
 * so of one on a new disk as well. It may come as a newcomer, and then it is what it holds from there on that counts; but while
 * new groups are to stand on it by its old name it can be no member of them.
 */
export function asGoodAsNew(
  lost: Iterable<NodeId>,
  { groups, nodes }: Pick<VolumeRecord, 'groups' | 'nodes'>,
  /** Whether it has a sound disk with a store on it, and whether the registry knows it by another store. */
  is: { isThere(node: NodeId): boolean; isAnother(node: NodeId): boolean },
): NodeId[] {
  const involved = new Set(
    groups.flatMap(({ membership, retired }) => [
      ...allMembers(membership).map(({ node }) => node),
      ...retired,
    ]),
  );
  const isBarred = (node: NodeId) => is.isAnother(node) && nodes.some((one) => one.node === node);
  return [...lost].filter((node) => is.isThere(node) && !involved.has(node) && !isBarred(node));
}
