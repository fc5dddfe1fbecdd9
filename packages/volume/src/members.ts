/** What a serving writer does about who the members are: changes on demand, healing by itself, and what both leave behind. */
import { must, type Clock, type CodedError, type Lsn, type NodeId } from '@rokka/kernel';
import type { HealingTimes, ProgressTracker, Standing } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import { Departures } from './departures.ts';
import type { Group } from './group.ts';
import { Healer, keeps, type FleetNode } from './healer.ts';
import { MembershipChanges } from './membership-changes.ts';
import type { NodeLink } from './node-link.ts';
import type { NodeLinks } from './node-links.ts';
import type { VolumeState } from './volume-state.ts';

export interface MembersOptions {
  clock: Clock;
  state: VolumeState;
  groups: readonly Group[];
  links: NodeLinks;
  /** Every node of the cluster; without it nobody is replaced unless told. */
  fleet?: (() => readonly FleetNode[]) | undefined;
  healingTimes?: Partial<HealingTimes> | undefined;
  log?: ((text: string) => void) | undefined;
  /** The group has entered its next membership: count by it, and tell its members. */
  onEntered(group: Group): void;
  /** A newcomer holds everything; its state is the truth from here on. */
  onHydrated(group: Group, link: NodeLink, answer: SegmentState): void;
  /** A sound member lacks log that none of the others has. */
  onStranded(group: Group, link: NodeLink, dropped: Lsn): Promise<void>;
  /** The registry says that another writer has the volume. Answers what everybody gets from here on. */
  onTakenOver(error: CodedError): CodedError;
  demandAlive(): void;
}

export class Members {
  readonly changes: MembershipChanges;
  readonly #options: MembersOptions;
  #tracker: ProgressTracker | undefined;
  #departures: Departures | undefined;
  #healer: Healer | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.changes = new MembershipChanges({ ...options, standingOf: (group) => this.standing(group) });
  }

  /** The volume serves from here on. */
  start(tracker: ProgressTracker): void {
    const { links, fleet, healingTimes, ...options } = this.#options;
    this.#tracker = tracker;
    this.#departures = new Departures({
      ...options,
      standingOf: (group) => this.standing(group),
      fleet: () => (fleet?.() ?? []).map(({ node }) => node),
      isKept: (node) => keeps(fleet?.() ?? [], node),
      linkTo: (node) => links.get(node),
    });
    if (!fleet) return;
    this.#healer = new Healer({
      ...options,
      fleet,
      times: healingTimes,
      changes: this.changes,
      linkTo: (node) => links.to(node),
      standingOf: (group) => this.standing(group),
      retiredFrom: ({ pg }) => must(options.state.record.groups[pg]).retired,
    });
  }

  stop(): void {
    this.#departures?.stop();
    this.#healer?.stop();
  }

  /** How far each member is whose word counts, and where the group ends. */
  standing(group: Group): Standing {
    const tracker = this.#tracker;
    const scls = new Map<NodeId, Standing['pgcl']>();
    if (!tracker) return { pgcl: 0 as Standing['pgcl'], lastLsn: 0 as Standing['pgcl'], scls };
    for (const [place, { node }] of group.members.entries()) {
      const scl = tracker.scl(group.pg, place);
      if (scl !== undefined && group.isFenced(node) && !group.isHydrating(node)) scls.set(node, scl);
    }
    return { pgcl: tracker.pgcl(group.pg), lastLsn: tracker.lastLsnOf(group.pg), scls };
  }
}
