/**
 * One attempt to fill one segment. It begins with a base: a tail takes the highest log floor among its peers, below which
 * nobody needs the log any more; a full segment takes `c0`, the lowest LSN up to which the pages of a full peer reach. From
 * there gossip fills the log, and a full segment copies pages beside it (page-copy.ts). It counts when the last page is here
 * and its SCL has reached what peers had at the beginning: not before, or a low SCL would pass for the truth (trap 17).
 *
 * Why pages may be copied while their source goes on coalescing: a copied page contains everything up to the source's
 * `coalesced` at that moment, which is c0 or above, and the newcomer applies its log from c0 on again. Records overwrite
 * byte ranges, and INIT overwrites all of them, so the last record that touches a byte decides it, however often the ones
 * before were applied. For a read point at or above the highest `coalesced` that was seen, the last record at or below it is
 * in the log or, where no record above c0 touches the byte, in every copy of the page alike. Below that point a page may
 * show the future: `readFloor` keeps it, and reads below are refused.
 *
 * Every step is in the log before the next one counts on it, so an attempt goes on where the one before it ended, also one
 * of a process that was killed.
 */
import { must, type Clock, type CodedError, type Lsn } from '@rokka/kernel';
import type { CopiedEntry, Generation, Hydration } from './control-state.ts';
import { durably } from './durably.ts';
import { storageErrors } from './errors.ts';
import type { Gossip } from './gossip.ts';
import { copyPages } from './page-copy.ts';
import type { PeerClients, SoundPeer } from './peer-clients.ts';
import { higher, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface HydrationRunOptions {
  store: SegmentStore;
  clients: PeerClients;
  gossip: Gossip;
  clock: Clock;
  signal: AbortSignal;
  log?: ((line: string) => void) | undefined;
}

/** With so many sound ones beside it the group lacks none: who is filled comes in the place of a member that is there still. */
const COPIES = 6;
/** How often it is looked whether gossip has brought the log. */
const LOG_POLL_MS = 20;
const LOG_POLLS_MAX = 250;
/** A full peer that only lags has made its pages by then, or the one that the base was taken from is back. */
const SOURCELESS_MS = 10_000;

export class HydrationRun {
  readonly #segment: Segment;
  readonly #options: HydrationRunOptions;
  readonly #life: number;

  constructor(segment: Segment, options: HydrationRunOptions) {
    this.#segment = segment;
    this.#life = segment.life;
    this.#options = options;
  }

  /**
   * Takes the segment as far as its peers allow; resolves when it is complete.
   * @throws STORAGE_NO_SOURCE where no peer can be used now, what a peer refuses with, and what the log and the disk throw
   */
  async advance(): Promise<void> {
    const segment = this.#segment;
    const peers = await this.#options.clients.soundPeers(segment);
    this.#demandOpen();
    if (peers.length === 0)
      throw this.#noSource('none of the other members is sound, whole and at its epochs');
    for (const { state } of peers) this.#options.clients.learn(segment, state);
    // Pages whose table is not the log's are none.
    const isSound = segment.hydration?.begun === true && segment.pageFile?.damaged !== true;
    if (!isSound || this.#baseIsLost(peers)) await this.#begin(peers);
    else if (segment.chain.truncation.covers(must(segment.hydration).target)) await this.#retarget(peers);
    this.#options.gossip.ask(segment);
    if (segment.kind === 'full') await this.#copy(peers);
    await this.#awaitLog();
    await this.#finish();
  }

  /** The group has dropped log that this segment still lacks, or who had pages up to its base is gone: it is of no use any more. */
  #baseIsLost(peers: readonly SoundPeer[]): boolean {
    return this.#logIsGone(peers) || this.#sourceIsGone(peers);
  }

  /** Pages that reach less far are no source, and of an idle volume none are made: but they are a base of their own. */
  #sourceIsGone(peers: readonly SoundPeer[]): boolean {
    const segment = this.#segment;
    const hasPages = segment.kind === 'tail' || must(segment.hydration).nextPage >= segment.pageCount;
    if (hasPages || this.#sources(peers).length > 0) {
      segment.sourcelessSinceMs = undefined;
      return false;
    }
    const nowMs = this.#options.clock.nowMs();
    segment.sourcelessSinceMs ??= nowMs;
    if (nowMs - segment.sourcelessSinceMs < SOURCELESS_MS) return false;
    segment.sourcelessSinceMs = undefined;
    const { volume, pg, generation } = segment;
    this.#options.log?.(
      `volume ${volume}, protection group ${pg}: nobody has pages up to LSN ${generation.lsn} any more; hydration begins anew`,
    );
    return true;
  }

  #sources(peers: readonly SoundPeer[]): SoundPeer[] {
    const base = this.#segment.generation.lsn;
    return peers.filter(({ state }) => state.kind === 'full' && state.coalesced >= base);
  }

  #logIsGone(peers: readonly SoundPeer[]): boolean {
    const { hydration, chain, volume, pg, hydrating } = this.#segment;
    const { scl } = chain;
    const lost =
      hydrating && scl < must(hydration).target && peers.every(({ state }) => state.logFloor > scl);
    if (lost)
      this.#options.log?.(
        `volume ${volume}, protection group ${pg}: the log after LSN ${scl} is gone everywhere; hydration begins anew`,
      );
    return lost;
  }

  async #begin(peers: readonly SoundPeer[]): Promise<void> {
    const segment = this.#segment;
    const lsn = this.#chooseBase(peers);
    const { pageFile, hydration } = segment;
    if (pageFile && (pageFile.damaged || pageFile.livePages > 0)) pageFile.reset();
    const reason = hydration?.reason ?? 'rebuild';
    await this.#note(
      { lsn, livePages: 0, tableDigest: 0 },
      { reason, begun: true, nextPage: 0, target: higher(lsn, targetOf(segment, peers)) },
    );
  }

  #chooseBase(peers: readonly SoundPeer[]): Lsn {
    const { kind, hydrating, chain } = this.#segment;
    // What keeps its own log must find pages that are no older than where that begins.
    const least = hydrating ? (0 as Lsn) : chain.base;
    const floor = peers.reduce((lsn, { state }) => higher(lsn, state.logFloor), least);
    if (kind === 'tail') return floor;
    const coalesced = peers.flatMap(({ state }) => (state.kind === 'full' ? [state.coalesced] : []));
    const usable = coalesced.filter((lsn) => lsn >= floor);
    if (usable.length === 0) throw this.#noSource('no full member is among those that answer');
    return Math.min(...usable) as Lsn;
  }

  /** What was to be reached has been annulled by a recovery. */
  async #retarget(peers: readonly SoundPeer[]): Promise<void> {
    const { generation, hydration } = this.#segment;
    const target = higher(generation.lsn, targetOf(this.#segment, peers));
    await this.#note(generation, { ...must(hydration), target });
  }

  async #copy(peers: readonly SoundPeer[]): Promise<void> {
    const segment = this.#segment;
    const { nextPage } = must(segment.hydration);
    if (nextPage >= segment.pageCount) return;
    const sources = this.#sources(peers);
    if (sources.length === 0)
      throw this.#noSource(`no full member has pages up to LSN ${segment.generation.lsn}`);
    await copyPages(segment, {
      ...this.#options,
      sources,
      isUrgent: peers.length < COPIES,
      demandOpen: () => this.#demandOpen(),
      note: (generation, readFloor, next) =>
        this.#note(generation, { ...must(segment.hydration), nextPage: next }, readFloor),
    });
  }

  /** Gossip brings the log; a whole one ends above whatever a copied page may contain. */
  async #awaitLog(): Promise<void> {
    const { clock, signal, gossip } = this.#options;
    const segment = this.#segment;
    for (let poll = 0; !this.#isReached(); poll++) {
      if (poll === LOG_POLLS_MAX) throw this.#noSource(`its log ends at LSN ${segment.durableScl}`);
      if (poll % 10 === 9) gossip.ask(segment);
      await clock.sleep(LOG_POLL_MS, signal);
      this.#demandOpen();
    }
  }

  #isReached(): boolean {
    const { hydration, readFloor, durableScl, requiredScl } = this.#segment;
    return durableScl >= higher(higher(must(hydration).target, readFloor), requiredScl);
  }

  async #finish(): Promise<void> {
    const { store } = this.#options;
    await this.#note(this.#segment.generation, undefined);
    store.announce(this.#segment);
  }

  /** Durable when it resolves. */
  #note(
    generation: Omit<Generation, 'number'>,
    hydration: Hydration | undefined,
    readFloor = this.#segment.readFloor,
  ): Promise<void> {
    const segment = this.#segment;
    this.#demandOpen();
    const { lsn, livePages, tableDigest } = generation;
    const number = segment.generation.number + 1;
    const entry: Omit<CopiedEntry, 'id'> = {
      generation: { number, lsn, livePages, tableDigest },
      readFloor,
      hydration,
    };
    const { store, signal } = this.#options;
    return durably(signal, (done) => store.copied(segment, entry, done));
  }

  #demandOpen(): void {
    this.#options.signal.throwIfAborted();
    const { dropped, life, id } = this.#segment;
    // What it was told to begin anew with is for the next run.
    if (dropped || life !== this.#life) throw storageErrors.STORAGE_CLOSED([`segment ${id}`]);
  }

  #noSource(why: string): CodedError {
    return storageErrors.STORAGE_NO_SOURCE([this.#segment.volume, this.#segment.pg, why]);
  }
}

/** The highest SCL that a peer has now and that counts. */
function targetOf(segment: Segment, peers: readonly SoundPeer[]): Lsn {
  const { truncation } = segment.chain;
  const scls = peers.map(({ state }) => state.scl).filter((scl) => !truncation.covers(scl));
  return scls.reduce(higher, 0 as Lsn);
}
