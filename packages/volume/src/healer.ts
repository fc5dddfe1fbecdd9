/**
 * Watches the members of every group and carries out what `nextHealingStep` (quorum) says, one step a group at a time. It
 * sees only what the writer sees: who is connected, who obeys, how far each is. A node that takes everything and says
 * nothing loses its connection (shipping.ts), so it counts as away here.
 */
import { describeError, isCoded, unreachable, type Clock, type NodeId, type Zone } from '@rokka/kernel';
import {
  HEALING_TIMES,
  nextHealingStep,
  satisfied,
  type HealingStep,
  type HealingTimes,
  type MemberHealth,
  type MemberState,
  type Standing,
} from '@rokka/quorum';
import type { Group } from './group.ts';
import type { MembershipChanges } from './membership-changes.ts';
import type { NodeLink } from './node-link.ts';
import { saysLost } from './refusals.ts';

/** A storage node of the cluster, as its registry has it. */
export interface FleetNode {
  readonly node: NodeId;
  readonly zone: Zone;
  /** It is to be emptied: its members are replaced, and it takes no new ones. */
  readonly leaving: boolean;
}

/** Whether the cluster still has the node; nothing is known where the fleet is empty. */
export function keeps(fleet: readonly FleetNode[], node: NodeId): boolean {
  return fleet.length === 0 || fleet.some((one) => one.node === node);
}

export interface HealerOptions {
  clock: Clock;
  groups: readonly Group[];
  changes: MembershipChanges;
  /** Every node that may hold segments, spares among them. */
  fleet(): readonly FleetNode[];
  /** The link to a node; one is made where there is none yet. */
  linkTo(node: NodeId): NodeLink;
  standingOf(group: Group): Standing;
  /** Nodes that were replaced in the group and may still hold what they had: they can't come as newcomers. */
  retiredFrom(group: Group): readonly NodeId[];
  times?: Partial<HealingTimes> | undefined;
  /** Takes lines for people: what is done, and what was refused. */
  log?: ((text: string) => void) | undefined;
}

const TICK_MS = 500;

interface Watch {
  state: MemberState;
  sinceMs: number;
}

export class Healer {
  readonly #options: HealerOptions;
  readonly #times: HealingTimes;
  readonly #watches = new Map<string, Watch>();
  /** Where each group stood a tick ago: a member that has not come so far since is behind. */
  readonly #pgcls = new Map<Group, number>();
  readonly #blockedSinceMs = new Map<Group, number>();
  readonly #refusals = new Map<Group, string>();
  #cancel = () => {};

  constructor(options: HealerOptions) {
    this.#options = options;
    this.#times = { ...HEALING_TIMES, ...options.times };
    this.#next();
  }

  stop(): void {
    this.#cancel();
  }

  #next(): void {
    this.#cancel = this.#options.clock.after(TICK_MS, () => {
      this.#next();
      const fleet = this.#options.fleet();
      // Spares are kept connected, so that a step never waits for one that is not there.
      const links = new Map(fleet.map(({ node }) => [node, this.#options.linkTo(node)]));
      for (const group of this.#options.groups) this.#look(group, fleet, links);
    });
  }

  #look(group: Group, fleet: readonly FleetNode[], links: ReadonlyMap<NodeId, NodeLink>): void {
    const { changes, retiredFrom } = this.#options;
    this.#forgetWhoLeft(group);
    const members = new Map(group.members.map(({ node }) => [node, this.#health(group, node, fleet)]));
    this.#pgcls.set(group, this.#options.standingOf(group).pgcl);
    const blockedForMs = this.#blockedForMs(group);
    if (changes.isBusy(group)) return;
    const retired = retiredFrom(group);
    const spares = fleet.filter(
      (one) => !one.leaving && links.get(one.node)?.up === true && !retired.includes(one.node),
    );
    const health = { membership: group.roster.membership, members, spares, blockedForMs };
    const step = nextHealingStep(health, this.#times);
    const needsNobody = step?.kind === 'force' || step?.kind === 'give-up';
    if (step && (group.isInstalled || needsNobody)) void this.#take(group, step);
  }

  /** Who comes again later begins anew. */
  #forgetWhoLeft(group: Group): void {
    for (const key of this.#watches.keys()) {
      const [pg, node] = key.split('/');
      if (Number(pg) === group.pg && group.placeOf(node as NodeId) < 0) this.#watches.delete(key);
    }
  }

  #health(group: Group, node: NodeId, fleet: readonly FleetNode[]): MemberHealth {
    const nowMs = this.#options.clock.nowMs();
    const key = `${group.pg}/${node}`;
    const known = fleet.find((one) => one.node === node);
    // One that the cluster has given up comes back no more.
    const state = keeps(fleet, node) ? this.#state(group, node) : 'lost';
    let watch = this.#watches.get(key);
    if (watch?.state !== state) this.#watches.set(key, (watch = { state, sinceMs: nowMs }));
    return { state, forMs: nowMs - watch.sinceMs, leaving: known?.leaving ?? false };
  }

  #state(group: Group, node: NodeId): MemberState {
    const { linkTo, standingOf } = this.#options;
    if (saysLost(group.unfencedReasons.get(node))) return 'lost';
    if (!linkTo(node).up || !group.isFenced(node)) return 'away';
    const scl = standingOf(group).scls.get(node);
    return scl === undefined || scl < (this.#pgcls.get(group) ?? 0) ? 'behind' : 'well';
  }

  #blockedForMs(group: Group): number {
    const { clock, linkTo } = this.#options;
    const { write } = group.roster.formulas;
    const obeys = (node: string) =>
      linkTo(node as NodeId).up && group.isFenced(node as NodeId) && !group.isHydrating(node as NodeId);
    if (satisfied(write, obeys)) {
      this.#blockedSinceMs.delete(group);
      return 0;
    }
    const sinceMs = this.#blockedSinceMs.get(group) ?? clock.nowMs();
    this.#blockedSinceMs.set(group, sinceMs);
    // Never 0: from the first moment on nothing is begun that a write quorum would have to hear of.
    return Math.max(1, clock.nowMs() - sinceMs);
  }

  async #take(group: Group, step: HealingStep): Promise<void> {
    const { changes, log } = this.#options;
    try {
      if (step.kind === 'begin') await changes.begin(group, step);
      else if (step.kind === 'force') await changes.force(group, step);
      else if (step.kind === 'give-up') await changes.giveUp(group, step.newcomer);
      else if (step.kind === 'finish') await changes.finish(group, step.newcomer);
      else await changes.revert(group, step.newcomer);
      this.#refusals.delete(group);
      log?.(describeStep(group, step));
    } catch (error) {
      if (!isCoded(error)) throw error;
      // What is refused now may be allowed at the next tick; people hear of each reason once.
      if (this.#refusals.get(group) !== error.code)
        log?.(`${describeStep(group, step)}: ${describeError(error)}`);
      this.#refusals.set(group, error.code);
    }
  }
}

function describeStep({ pg }: Group, step: HealingStep): string {
  const of = `protection group ${pg}`;
  switch (step.kind) {
    case 'begin':
      return `${of}: ${step.joins.node} is to replace ${step.leaves}`;
    case 'force':
      return `${of}: no write quorum is left; ${step.joins.node} replaces ${step.leaves}, which is forced out`;
    case 'finish':
      return `${of}: ${step.newcomer} holds everything and stays`;
    case 'revert':
      return `${of}: ${step.newcomer} is not needed and leaves`;
    case 'give-up':
      return `${of}: no write quorum is left; ${step.newcomer}, which is gone, is given up`;
    default:
      return unreachable(step);
  }
}
