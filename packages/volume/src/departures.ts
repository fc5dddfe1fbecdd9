/**
 * What is left to do for those who came and those who went: a newcomer's word counts when it says that it has hydrated, and
 * what a replaced member held goes when the group is whole without it (P18 §4.1), not before: until then it may be
 * the copy that somebody needs.
 */
import {
  isCoded,
  must,
  mutant,
  type Clock,
  type CodedError,
  type Epoch,
  type Lsn,
  type NodeId,
} from '@rokka/kernel';
import { isWhole, type Standing } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { Strays } from './strays.ts';
import type { VolumeState } from './volume-state.ts';

const TICK_MS = 250;
const CALL_MS = 2_000;

export interface DeparturesOptions {
  clock: Clock;
  state: VolumeState;
  groups: readonly Group[];
  standingOf(group: Group): Standing;
  /** Every node that may hold segments, where that is known. */
  fleet(): readonly NodeId[];
  /** Whether the cluster still has the node. */
  isKept(node: NodeId): boolean;
  linkTo(node: NodeId): NodeLink | undefined;
  /** The newcomer holds everything; its state is the truth from here on. */
  onHydrated(group: Group, link: NodeLink, answer: SegmentState): void;
  /** A sound member lacks log that none of the others has. */
  onStranded(group: Group, link: NodeLink, dropped: Lsn): Promise<void>;
  /** The registry says that another writer has the volume. */
  onTakenOver(error: CodedError): void;
}

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #strays: Strays;
  readonly #busy = new Set<string>();
  /** What was durable in each group when its membership was first seen. */
  readonly #since = new Map<Group, { epoch: Epoch; pgcl: Lsn }>();
  #cancel = () => {};

  constructor(options: DeparturesOptions) {
    this.#options = options;
    const { state } = options;
    this.#strays = new Strays({
      ...options,
      isNamed: (group, node) =>
        group.placeOf(node) >= 0 || must(state.record.groups[group.pg]).retired.includes(node),
    });
    this.#next();
  }

  stop(): void {
    this.#cancel();
  }

  #next(): void {
    this.#cancel = this.#options.clock.after(TICK_MS, () => {
      for (const group of this.#options.groups) {
        for (const { node } of group.members)
          if (group.isHydrating(node)) this.#once(group, node, (link) => this.#ask(group, link));
        this.#dismiss(group);
      }
      this.#next();
    });
  }

  #dismiss(group: Group): void {
    const { isKept, state } = this.#options;
    const { groups, volumeEpoch } = state.record;
    const { retired } = must(groups[group.pg]);
    const unasked = this.#strays.unasked(group, volumeEpoch);
    if (retired.length === 0 && unasked.length === 0) return;
    if (!this.#isWhole(group)) return retired.length > 0 ? this.#askBehind(group) : undefined;
    for (const { node } of unasked)
      this.#once(group, node, (link) => this.#strays.ask(group, link, volumeEpoch));
    for (const node of retired)
      if (isKept(node)) this.#once(group, node, (link) => this.#drop(group, link));
      // The cluster has given it up: it comes back no more.
      else this.#once(group, node, () => state.dropped(group.pg, node), { isAway: true });
  }

  /**
   * A member may hold more than it has said: its last ack was lost, and while nothing is written there is no other. Or it was away while all
   * others were replaced: those who came began from pages, and whoever had the log before is no member for it to ask.
   */
  #askBehind(group: Group): void {
    const { scls } = this.#options.standingOf(group);
    const needed = this.#since.get(group)?.pgcl ?? (0 as Lsn);
    for (const { node } of group.members)
      if ((scls.get(node) ?? 0) < needed) this.#once(group, node, (link) => this.#ask(group, link));
  }

  #isWhole(group: Group): boolean {
    const { standingOf } = this.#options;
    const standing = standingOf(group);
    let since = this.#since.get(group);
    if (since?.epoch !== group.roster.epoch)
      this.#since.set(group, (since = { epoch: group.roster.epoch, pgcl: standing.pgcl }));
    if (mutant('drop-before-whole')) return true;
    const isInstalled = group.members.every(({ node }) => group.isInstalledOn(node));
    return isInstalled && isWhole(group.roster.membership, standing, since.pgcl);
  }

  #once(
    group: Group,
    node: NodeId,
    work: (link: NodeLink) => Promise<void>,
    options: { isAway?: boolean } = {},
  ): void {
    const key = `${group.pg}/${node}`;
    const link = this.#options.linkTo(node);
    if (!link || (!link.up && !options.isAway) || this.#busy.has(key)) return;
    this.#busy.add(key);
    void work(link)
      // The next tick tries again; a node that has gone is found out elsewhere.
      .catch((error: unknown) => {
        if (!isCoded(error)) throw error;
        if (isCoded(error, 'VOLUME_INTERRUPTED')) this.#options.onTakenOver(error);
      })
      .finally(() => this.#busy.delete(key));
  }

  async #ask(group: Group, link: NodeLink): Promise<void> {
    const { state, standingOf, onHydrated, onStranded } = this.#options;
    const answer = await group.stateOf(link, state.record.volumeEpoch, { timeoutMs: CALL_MS });
    if (answer.hydrating || answer.damaged || !link.up || !group.isFenced(link.node)) return;
    group.markHydrating(link.node, false);
    group.hasDroppedTo(link.node, answer.logFloor);
    onHydrated(group, link, answer);
    const dropped = group.droppedByAllBut(link.node, answer.scl, standingOf(group).scls);
    if (answer.scl < dropped) await onStranded(group, link, dropped);
  }

  async #drop(group: Group, link: NodeLink): Promise<void> {
    const { state } = this.#options;
    await group.dropOn(link, state.record.volumeEpoch);
    await state.dropped(group.pg, link.node);
  }
}
