/**
 * Fences members of protection groups for the writer of this volume epoch, and makes the segments that the registry says
 * were never made.
 *
 * Invariant: a node leaves the registry's list of missing segments before anything that it says counts. Were it the
 * other way round, a segment lost later would be taken for one that never was, and come back empty: amnesia (aurora.md
 * trap 13).
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
import { canStartOver, type Standing, type TruncationRange } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import { volumeErrors } from './errors.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { saysLeftOver, saysTakenOver } from './refusals.ts';
import type { VolumeState } from './volume-state.ts';

/** After a member refused, failed or said that it is damaged. Gossip heals what can be healed meanwhile. */
const RETRY_MS = 250;

/**
 * Fences the segment on a node, with `ranges`, and reads its state in the same step.
 * @throws the node's own errors, VOLUME_FENCED, VOLUME_SEGMENT_LOST, VOLUME_INTERRUPTED, what NodeLink.call
 * throws
 */
export async function fenceSegment(
  group: Group,
  link: NodeLink,
  options: {
    state: VolumeState;
    ranges: readonly TruncationRange[];
    timeoutMs?: number;
  },
): Promise<SegmentState> {
  const { state, ranges, timeoutMs } = options;
  const { volumeEpoch } = state.record;
  const isMissing = () => must(state.record.groups[group.pg]).missing.includes(link.node);
  const fence = async () => {
    // Looked at on the connection that is asked: a disk that was put in since has another store.
    demandStore(group, link, state);
    const answer = await group.fenceOn(
      link,
      volumeEpoch,
      ranges,
      timeoutMs === undefined ? {} : { timeoutMs },
    );
    // One of the other kind counts for what it never gets.
    const member = group.members.find(({ node }) => node === link.node);
    if (member && answer.kind !== member.kind && !isMissing())
      throw volumeErrors.VOLUME_SEGMENT_LOST([link.node, group.pg]);
    // Another writer's fence may have come between the node's obeying this one and its answer.
    if (answer.volumeEpoch === volumeEpoch) return answer;
    throw volumeErrors.VOLUME_FENCED([state.record.volumeId, volumeEpoch, answer.volumeEpoch], {
      detail: { volumeEpoch: answer.volumeEpoch },
    });
  };
  // What is there may have been left by a writer that died before its group was in the registry.
  const isNewcomer = group.roster.isNewcomer(link.node);
  let makes: 'nothing' | 'segment' | 'anew' = isNewcomer ? 'segment' : 'nothing';
  try {
    const answer = await fence();
    if (!isMissing()) {
      if (state.record.stores[link.node] === undefined) await state.learnStore(link.node, link.store);
      return answer;
    }
    if (answer.damaged && !isNewcomer) makes = 'anew';
  } catch (error) {
    // A newcomer's node that knows nothing any more is told to start over instead.
    const isOld = isNewcomer ? isCoded(error, 'STORAGE_MEMBERSHIP_CONFLICT') : saysLeftOver(error);
    const isLeftOver = isMissing() && isOld;
    if (!isCoded(error, 'STORAGE_NO_SEGMENT') && !isLeftOver) throw error;
    // A node that is not on the list has had its segment: an empty one in its place would be a lie.
    if (!isMissing() && !mutant('amnesia-accepted'))
      throw volumeErrors.VOLUME_SEGMENT_LOST([link.node, group.pg], { cause: error });
    makes = isLeftOver && !isNewcomer ? 'anew' : 'segment';
  }
  if (makes === 'segment') await group.createOn(link, volumeEpoch);
  if (makes === 'anew') await makeAnew(group, link, { state, isWanted: isMissing });
  await state.madeMissing(group.pg, link.node, link.store);
  return fence();
}

/**
 * Makes the segment on a node that never had it by the registry's word, whatever a writer left there that died while it made
 * the group. The node may have forgotten a later writer, so the registry is asked first, and the process stays the same.
 * @param of.isWanted whether the registry still says so, as far as this writer knows
 * @throws VOLUME_INTERRUPTED, VOLUME_NODE_DOWN, what NodeLink.call throws
 */
export async function makeAnew(
  group: Group,
  link: NodeLink,
  of: { state: VolumeState; isWanted: () => boolean },
): Promise<void> {
  const { state, isWanted } = of;
  const { connections } = link;
  await state.confirm();
  if (!isWanted()) return;
  if (link.connections !== connections) throw volumeErrors.VOLUME_NODE_DOWN([link.node]);
  await group.createOn(link, state.record.volumeEpoch, { anew: true });
}

/**
 * Whoever answers under the node's name has the data directory that the cluster knows it by, if it knows one.
 * @throws VOLUME_SEGMENT_LOST
 */
export function demandStore(group: Group, link: NodeLink, state: VolumeState): void {
  const known = state.record.stores[link.node];
  const ignored = mutant('amnesia-accepted') || mutant('store-ignored');
  if (known !== undefined && known !== link.store && !ignored)
    throw volumeErrors.VOLUME_SEGMENT_LOST([link.node, group.pg]);
}

export interface FencerOptions {
  clock: Clock;
  state: VolumeState;
  standingOf(group: Group): Standing;
  /** The group's log up to here is no longer kept by everybody. */
  logFloorOf(group: Group): Lsn;
  /** Whether fencing still has a purpose. */
  isServing(): boolean;
  /** What the member has acknowledged; undefined for one that does not count. */
  sclOf(group: Group, node: NodeId): Lsn | undefined;
  /** The segment obeys this writer. It had acknowledged so much before it was asked: its answer may be read after later acks. */
  onFenced(group: Group, link: NodeLink, answer: SegmentState, acknowledged: Lsn): void;
  /** What the member acknowledged counts no more. */
  onForgot(group: Group, node: NodeId): void;
  /** Another writer has the volume. */
  onTakenOver(error: CodedError): void;
  /** Takes lines for people. */
  log?: ((text: string) => void) | undefined;
}

/** Keeps the members of a serving volume fenced: each of them when its node comes, and again until it obeys. */
export class Fencer {
  readonly #options: FencerOptions;
  /** By member, the membership that it is being told of: a node that refuses many ships is not asked as many times. */
  readonly #busy = new Map<string, Epoch>();
  /** How often a node was told to begin anew, in whichever group. */
  readonly #told = new WeakMap<NodeLink, number>();

  constructor(options: FencerOptions) {
    this.#options = options;
  }

  fence(group: Group, link: NodeLink): void {
    const key = `${group.pg}/${link.node}`;
    const { isServing } = this.#options;
    const isFenced = group.isFenced(link.node);
    const obeys = isFenced && group.isInstalledOn(link.node);
    const { epoch } = group.roster;
    const asked = this.#busy.get(key);
    // Who obeys is sent ships under the next membership at once. It hears of that before them, also where it has not said yet that it
    // heard of the one before: it would refuse them.
    const isAsked = asked !== undefined && (asked === epoch || !isFenced);
    if (!isServing() || !link.up || obeys || isAsked) return;
    if (group.placeOf(link.node) < 0) return;
    this.#busy.set(key, epoch);
    void this.#attempt(group, link).then((fenced) => {
      if (this.#busy.get(key) === epoch) this.#busy.delete(key);
      if (fenced || this.#busy.has(key)) return;
      if (group.isFenced(link.node)) this.fence(group, link);
      else this.fenceLater(group, link);
    });
  }

  fenceLater(group: Group, link: NodeLink): void {
    if (this.#options.isServing() && link.up)
      this.#options.clock.after(RETRY_MS, () => this.fence(group, link));
  }

  /**
   * A sound member that nobody can fill, for the log that it lacks none of the others has, begins anew as if it no longer knew what it had.
   * All that it has is durable without it.
   */
  async refill(group: Group, link: NodeLink, dropped: Lsn): Promise<void> {
    await this.#startOver(group, link, dropped);
    this.fence(group, link);
  }

  /** Answers whether the member obeys now. */
  async #attempt(group: Group, link: NodeLink): Promise<boolean> {
    const { state, isServing, onFenced, logFloorOf, sclOf, standingOf } = this.#options;
    const told = this.#told.get(link);
    const known = sclOf(group, link.node) ?? 0;
    try {
      const ranges = state.record.truncationRanges;
      const answer = await fenceSegment(group, link, { state, ranges });
      // It was told to begin anew since: this may have been read before.
      if (this.#told.get(link) !== told) return false;
      // What a damaged segment says must not count. Peers may fill it, so it is asked again.
      group.unfencedReasons.set(link.node, answer.damaged ? 'damaged' : '');
      if (answer.damaged) group.markUnfenced(link.node);
      // A writer that found the member damaged never had its word, and knows what the others have dropped only from them.
      const { scls } = standingOf(group);
      const dropped = Math.max(logFloorOf(group), group.droppedByAllBut(link.node, answer.scl, scls));
      if (answer.unknown || (answer.damaged && !answer.hydrating && answer.scl < dropped))
        await this.#startOver(group, link);
      if (answer.damaged || !isServing() || !link.up) return false;
      // It was replaced while it was asked.
      if (group.placeOf(link.node) < 0) return true;
      group.markFenced(link.node, answer);
      // Less by now where it has begun anew.
      onFenced(group, link, answer, Math.min(known, sclOf(group, link.node) ?? 0) as Lsn);
      // Where the membership has changed meanwhile, it hears of that next.
      return group.isInstalledOn(link.node);
    } catch (error) {
      if (!isCoded(error)) throw error;
      group.markUnfenced(link.node);
      group.unfencedReasons.set(link.node, error.code);
      this.#listen(error);
      if (error.code === 'STORAGE_SEGMENT_UNKNOWN') await this.#startOver(group, link);
      return false;
    }
  }

  /**
   * Nobody knows what the member had acknowledged, so it begins anew, and counts again when it holds all that it can have
   * had. How far that goes only the latest writer knows, and who that is only the registry: a node that forgot what it
   * acknowledged may have forgotten a later writer's fence, too.
   */
  async #startOver(group: Group, link: NodeLink, dropped = 0 as Lsn): Promise<void> {
    const { state, standingOf, onForgot, log } = this.#options;
    if (!this.#mayStartOver(group, link)) return;
    // The same process: whoever was started again may have forgotten a fence that came since.
    const { connections } = link;
    try {
      await state.confirm();
      if (!this.#mayStartOver(group, link) || link.connections !== connections) return;
      // What it has said of itself so far it no longer knows, and what it says before it has begun anew must not count.
      group.markUnfenced(link.node);
      this.#told.set(link, (this.#told.get(link) ?? 0) + 1);
      onForgot(group, link.node);
      group.forgetPages(link.node);
      const { lastLsn: required } = standingOf(group);
      await group.startOverOn(link, state.record.volumeEpoch, { required, dropped });
      const why = dropped > 0 ? 'lacks what no member has any more' : 'no longer knows what it had';
      log?.(`protection group ${group.pg}: ${link.node} ${why}, and begins anew`);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#listen(error);
    }
  }

  #mayStartOver(group: Group, link: NodeLink): boolean {
    const { isServing, standingOf } = this.#options;
    const isMember = isServing() && group.placeOf(link.node) >= 0;
    return isMember && canStartOver(group.roster.membership, link.node, standingOf(group));
  }

  #listen(error: CodedError): void {
    const { isServing, onTakenOver } = this.#options;
    if (saysTakenOver(error) && isServing()) onTakenOver(error);
  }
}
