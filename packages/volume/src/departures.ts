/**
 * What is left to do for those who came and those who went: a newcomer's word counts when it says that it has hydrated, and
 * what a replaced member held goes when the group is whole without it (P18 §4.1), not before: until then it may be
 * the copy that somebody needs.
 */
import { isCoded, must, mutant, type Clock, type CodedError, type NodeId } from '@rokka/kernel';
import type { ProgressTracker } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import type { VolumeState } from './volume-state.ts';

const TICK_MS = 250;
const CALL_MS = 2_000;

export interface DeparturesOptions {
  clock: Clock;
  state: VolumeState;
  groups: readonly Group[];
  tracker: ProgressTracker;
  linkTo(node: NodeId): NodeLink | undefined;
  /** The newcomer holds everything; its state is the truth from here on. */
  onHydrated(group: Group, link: NodeLink, answer: SegmentState): void;
  /** The registry says that another writer has the volume. */
  onTakenOver(error: CodedError): void;
}

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #busy = new Set<string>();
  #cancel = () => {};

  constructor(options: DeparturesOptions) {
    this.#options = options;
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
        const { retired } = must(this.#options.state.record.groups[group.pg]);
        if (retired.length > 0 && this.#isWhole(group))
          for (const node of retired) this.#once(group, node, (link) => this.#drop(group, link));
      }
      this.#next();
    });
  }

  #isWhole(group: Group): boolean {
    if (mutant('drop-before-whole')) return true;
    const { tracker } = this.#options;
    const pgcl = tracker.pgcl(group.pg);
    const settled = group.roster.membership.slots.every(({ candidate }) => candidate === undefined);
    const complete = group.members.every(
      ({ node }, place) =>
        group.isInstalledOn(node) && !group.isHydrating(node) && (tracker.scl(group.pg, place) ?? -1) >= pgcl,
    );
    return settled && complete;
  }

  #once(group: Group, node: NodeId, work: (link: NodeLink) => Promise<void>): void {
    const key = `${group.pg}/${node}`;
    const link = this.#options.linkTo(node);
    if (!link?.up || this.#busy.has(key)) return;
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
    const { state, onHydrated } = this.#options;
    const answer = await group.stateOf(link, state.record.volumeEpoch, { timeoutMs: CALL_MS });
    if (answer.hydrating || answer.damaged || !link.up || !group.isFenced(link.node)) return;
    group.markHydrating(link.node, false);
    onHydrated(group, link, answer);
  }

  async #drop(group: Group, link: NodeLink): Promise<void> {
    const { state } = this.#options;
    await group.dropOn(link, state.record.volumeEpoch);
    await state.dropped(group.pg, link.node);
  }
}
