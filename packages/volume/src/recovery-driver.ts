/**
 * Carries out what `Recovery` (quorum) asks for: fences, decides once, has the range decided in the registry, fences again
 * with it, copies what a write quorum lacks. It goes round until the volume may serve; nodes may come, go and stay silent
 * meanwhile. See docs/decisions/0002 for why the registry hears of the range first.
 */
import { assert, type Clock, type Epoch, isCoded, type Lsn, must, mutant, type NodeId } from '@rokka/kernel';
import {
  readRecordHeader,
  Recovery,
  recordLengthAt,
  type TruncationRange,
  type VolumeStart,
} from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import { volumeErrors } from './errors.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import type { NodeLinks } from './node-links.ts';

/** How long to wait for news before looking at who is up again. */
const LOOK_AGAIN_MS = 20;
/** After a member failed, so that a broken one is not asked in a tight loop. */
const RETRY_MS = 200;
const FENCE_TIMEOUT_MS = 3_000;
/** Members that are only late have come back by then. */
const FORCE_AFTER_MS = 15_000;
const FORCE_AGAIN_MS = 1_000;
/** Who holds what was to be kept may only be slow. */
const OUTDATED_AFTER_MS = 2_000;
const PASSING = /^(STORAGE|TRANSPORT|KERNEL|VOLUME_NODE|VOLUME_SEGMENT)_/;

export interface RecoveryOptions {
  volumeId: string;
  volumeEpoch: Epoch;
  groups: readonly Group[];
  links: NodeLinks;
  ranges: readonly TruncationRange[];
  allocationLimit: number;
  clock: Clock;
  timeoutMs: number;
  signal: AbortSignal;
  /** Makes the range durable in the registry under this epoch. @throws VOLUME_INTERRUPTED */
  decideRange(range: TruncationRange): Promise<void>;
  /** Fences a member with `ranges`, making a segment that the registry says was never made. */
  fence(
    group: Group,
    link: NodeLink,
    options: { ranges: readonly TruncationRange[]; timeoutMs: number },
  ): Promise<SegmentState>;
  /**
   * A quorum of the group has been out of reach for long: gives up a newcomer that is gone, or, where its `known` members are a
   * read quorum, forces out a member that is, if somebody can take his place. Answers whether the group has another
   * membership now.
   */
  forceOut(
    group: Group,
    of: { known: ReadonlySet<string>; lastLsn: Lsn; isTrusted: boolean },
  ): Promise<boolean>;
  onProgress?(text: string): void;
}

/**
 * @throws VOLUME_NO_QUORUM after `timeoutMs`, VOLUME_RECOVERY_OUTDATED, VOLUME_FENCED, VOLUME_INTERRUPTED, the quorum package's
 * errors
 */
export async function recoverVolume(options: RecoveryOptions): Promise<VolumeStart> {
  return new Driver(options).run();
}

class Driver {
  readonly #options: RecoveryOptions;
  readonly #recovery: Recovery;
  readonly #busy = new Map<string, Promise<void>>();
  readonly #notBeforeMs = new Map<string, number>();
  /** Members that have answered a fence with the decided range; a repair asks them again. */
  readonly #clipped = new Set<string>();
  readonly #fencedOnce = new Set<string>();
  /** Whose log turned out to be damaged when it was to be copied. */
  readonly #spoilt = new Set<string>();
  #copies = 0;
  #forceAtMs: number;
  #outdatedSinceMs: number | undefined;
  #fatal: unknown;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#forceAtMs = options.clock.nowMs() + FORCE_AFTER_MS;
    this.#recovery = new Recovery({
      volumeEpoch: options.volumeEpoch,
      groups: options.groups.map(({ pg, roster }) => ({ pg, formulas: roster.formulas })),
      allocationLimit: options.allocationLimit,
      ranges: options.ranges,
    });
  }

  async run(): Promise<VolumeStart> {
    const { clock, timeoutMs, signal, decideRange } = this.#options;
    const startedMs = clock.nowMs();
    let rangeDecided = false;
    while (!this.#recovery.canServe()) {
      signal.throwIfAborted();
      if (this.#fatal) throw this.#fatal;
      const decision = this.#recovery.decision();
      if (decision && !rangeDecided) {
        await decideRange(decision.range);
        rangeDecided = true;
      }
      if (clock.nowMs() - startedMs > timeoutMs) throw this.#noQuorum();
      this.#demandCurrent();
      if (clock.nowMs() >= this.#forceAtMs) await this.#forceOut();
      this.#askEverybody(rangeDecided);
      await Promise.race([...this.#busy.values(), clock.sleep(LOOK_AGAIN_MS)]);
    }
    // Whoever is still asked is not waited for: a silent node must not hold the volume up. Its answer changes nothing.
    return this.#recovery.start();
  }

  #askEverybody(rangeDecided: boolean): void {
    const { groups, links, clock } = this.#options;
    const repairs = rangeDecided ? this.#recovery.repairs() : [];
    for (const group of groups) {
      for (const { node } of group.members) {
        const link = links.get(node);
        const key = `${group.pg}/${node}`;
        if (!link?.up || this.#busy.has(key) || clock.nowMs() < (this.#notBeforeMs.get(key) ?? 0)) continue;
        const repair = repairs.find(({ pg, member }) => pg === group.pg && member === node);
        // After a copy that failed, how far it came is asked first: one that is longer than a send buffer would else begin
        // at the same place for ever.
        if (repair && (this.#clipped.has(key) || mutant('copy-not-asked-after'))) {
          const sources = repair.sources.map((source) => links.get(source as NodeId));
          const able = sources.filter((source) => source?.up === true);
          // Each time another one: a source may refuse what the next one gives.
          const from = able[this.#copies++ % Math.max(1, able.length)];
          if (from) this.#start(group, node, () => this.#copyAndFence(group, { ...repair, from, to: link }));
        } else if (!(rangeDecided ? this.#clipped : this.#fencedOnce).has(key)) {
          this.#start(group, node, () => this.#fence(group, link, { withRange: rangeDecided }));
        }
      }
    }
  }

  /** @throws VOLUME_RECOVERY_OUTDATED */
  #demandCurrent(): void {
    const { clock, volumeId, volumeEpoch } = this.#options;
    const isThere = (member: string) =>
      this.#options.links.get(member as NodeId)?.up === true && !this.#spoilt.has(member);
    if (!this.#recovery.isOutdated(isThere)) return void (this.#outdatedSinceMs = undefined);
    this.#outdatedSinceMs ??= clock.nowMs();
    if (clock.nowMs() - this.#outdatedSinceMs > OUTDATED_AFTER_MS)
      throw volumeErrors.VOLUME_RECOVERY_OUTDATED([volumeId, volumeEpoch]);
  }

  /**
   * The way out where a zone and one more are gone: the read quorum that is left gets a newcomer to write with. Where a newcomer
   * is gone that stood in the way, it writes without.
   */
  async #forceOut(): Promise<void> {
    const { groups, forceOut, clock } = this.#options;
    this.#forceAtMs = clock.nowMs() + FORCE_AGAIN_MS;
    for (const { pg, lacks } of this.#recovery.waitingFor()) {
      if (lacks === 'last kept record') continue;
      const group = must(groups[pg]);
      const lastLsn = this.#recovery.lastKept(pg) ?? (0 as Lsn);
      const isTrusted = lacks !== 'read quorum';
      if (!(await forceOut(group, { known: this.#knownIn(pg), lastLsn, isTrusted }))) continue;
      this.#recovery.reform(pg, group.roster.formulas);
      // Everybody hears of the new membership with the next fence.
      for (const { node } of group.members) this.#clipped.delete(`${pg}/${node}`);
    }
  }

  /** Who answered, and is there still. */
  #knownIn(pg: Group['pg']): Set<string> {
    const known = [...this.#recovery.knownIn(pg)];
    return new Set(known.filter((node) => this.#options.links.get(node as NodeId)?.up === true));
  }

  #start(group: Group, node: NodeId, work: () => Promise<void>): void {
    const key = `${group.pg}/${node}`;
    const done = work()
      .catch((error: unknown) => {
        this.#rest(key);
        this.#clipped.delete(key);
        // A member may fail and be asked again, and one that lost its segment is only one member less; what says that this
        // recovery is over, or that the history is split, may not.
        const passing = isCoded(error) && PASSING.test(error.code);
        if (isCoded(error, 'STORAGE_STALE_EPOCH')) this.#fatal = this.#fenced(error);
        else if (!passing) this.#fatal = error;
      })
      .finally(() => this.#busy.delete(key));
    this.#busy.set(key, done);
  }

  async #fence(group: Group, link: NodeLink, options: { withRange: boolean }): Promise<void> {
    const ranges = options.withRange ? must(this.#recovery.decision()).ranges : this.#options.ranges;
    const asked = this.#options.fence(group, link, { ranges, timeoutMs: FENCE_TIMEOUT_MS });
    const state = await asked.catch((error: unknown) => {
      if (isCoded(error)) group.unfencedReasons.set(link.node, error.code);
      throw error;
    });
    this.#recovery.answered(group.pg, link.node, state);
    const key = `${group.pg}/${link.node}`;
    group.unfencedReasons.set(link.node, state.unknown ? 'STORAGE_SEGMENT_UNKNOWN' : '');
    // A damaged one may be filled by its peers, and a newcomer hydrates, so they are asked again, after a while.
    if (state.damaged || state.hydrating) return this.#rest(key);
    this.#spoilt.delete(link.node);
    this.#fencedOnce.add(key);
    if (options.withRange) this.#clipped.add(key);
  }

  #rest(key: string): void {
    this.#notBeforeMs.set(key, this.#options.clock.nowMs() + RETRY_MS);
  }

  async #copyAndFence(
    group: Group,
    repair: { from: NodeLink; to: NodeLink; after: Lsn; through: Lsn },
  ): Promise<void> {
    this.#options.onProgress?.(`copying records to node ${repair.to.node}`);
    await group
      .copy({ ...repair, volumeEpoch: this.#options.volumeEpoch, lastLsnIn })
      .catch((error: unknown) => {
        // It had all of it when it was fenced. Nobody else may have it, and it may never have it again.
        if (isCoded(error, 'STORAGE_LOG_DAMAGED')) this.#spoilt.add(repair.from.node);
        throw error;
      });
    // The answer to this fence comes after the node has taken in what was just sent on the same connection.
    await this.#fence(group, repair.to, { withRange: true });
  }

  #noQuorum() {
    const { volumeId, timeoutMs } = this.#options;
    const [lack] = this.#recovery.waitingFor();
    assert(lack, 'a recovery that may not serve waits for something');
    return volumeErrors.VOLUME_NO_QUORUM(
      [
        volumeId,
        lack.pg,
        must(this.#options.groups[lack.pg]).members.length - lack.members.length,
        timeoutMs,
      ],
      {
        detail: { lacks: lack.lacks, members: lack.members },
      },
    );
  }

  #fenced(cause: { detail: Readonly<Record<string, unknown>> }) {
    const newer = Number(cause.detail['volumeEpoch'] ?? 0);
    return volumeErrors.VOLUME_FENCED([this.#options.volumeId, this.#options.volumeEpoch, newer], { cause });
  }
}

function lastLsnIn(records: Uint8Array): Lsn {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let last = 0 as Lsn;
  for (let at = 0; at < records.length;) {
    const length = must(recordLengthAt(view, at), 'a node sent a record that is not one');
    last = readRecordHeader(view, at).lsn;
    at += length;
  }
  return last;
}
