/** Who takes part in a protection group under one membership epoch. It never changes: the next epoch has its own. */
import { must, type Epoch, type NodeId } from '@rokka/kernel';
import {
  allMembers,
  formulasOf,
  ReadRouter,
  type Membership,
  type PlacedMember,
  type QuorumFormulas,
} from '@rokka/quorum';

export class Roster {
  readonly membership: Membership;
  /** The six, then the candidates. A member's place in this list is its name in the progress tracker and the router. */
  readonly members: readonly PlacedMember[];
  readonly formulas: QuorumFormulas;
  readonly router: ReadRouter;

  constructor(membership: Membership) {
    this.membership = membership;
    this.members = allMembers(membership);
    this.formulas = formulasOf(membership);
    this.router = new ReadRouter(this.members.map(({ kind }) => kind));
  }

  get epoch(): Epoch {
    return this.membership.epoch;
  }

  /** Place of a node among the members, or -1. */
  placeOf(node: NodeId): number {
    return this.members.findIndex((member) => member.node === node);
  }

  member(place: number): PlacedMember {
    return must(this.members[place], 'no such member');
  }

  /** Whoever is not one of the six starts from nothing. */
  isNewcomer(node: NodeId): boolean {
    return !this.membership.slots.some(({ member }) => member.node === node);
  }
}
