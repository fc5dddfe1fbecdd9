/**
 * Reads pages from the segments: one full member that is complete enough, a second one when the first is late, others when
 * it fails (P18 §3.1). No quorum: the writer knows from acks who is complete.
 *
 * The answer is the page as of the read point, and the read point stays open until the answer is there, so that no node
 * folds a newer version over it meanwhile.
 */
import {
  assert,
  bytesEqual,
  type Clock,
  CodedError,
  Deferred,
  describeError,
  type Epoch,
  isCoded,
  type Lsn,
  type NodeId,
  PAGE_SIZE,
  type PageNumber,
  type Random,
} from '@rokka/kernel';
import { ReadPoints } from '@rokka/quorum';
import { decodeReadAnswer, encodeRead, MESSAGE, type ReadAnswer } from '@rokka/storage';
import { volumeErrors } from './errors.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { saysTakenOver } from './refusals.ts';
import type { Roster } from './roster.ts';

const READ_TIMEOUT_MS = 2_000;
/** A read keeps trying for so long before it gives up: long enough for nodes to be started again. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 20;
const SAMPLES = 1 << 16;

export interface PageReaderOptions {
  clock: Clock;
  random: Random;
  volumeEpoch: Epoch;
  /** The link to a member, while it is up. */
  linkTo(group: Group, node: NodeId): NodeLink | undefined;
  sclOf(group: Group, node: NodeId): Lsn | undefined;
  /** Throws where the volume has failed. */
  demandAlive(): void;
  /** A node says that another writer has the volume: whoever only reads learns it here, and not from a ship. */
  onTakenOver(error: CodedError): void;
}

/** A member, by its place in the roster that the attempt began with. */
interface Asked {
  readonly roster: Roster;
  readonly place: number;
}

export class PageReader {
  readonly #options: PageReaderOptions;
  readonly points = new ReadPoints();

  constructor(options: PageReaderOptions) {
    this.#options = options;
  }

  /** @throws VOLUME_UNREADABLE, or what demandAlive throws */
  async read(
    group: Group,
    of: { page: PageNumber; readPoint: Lsn; requiredScl: Lsn },
  ): Promise<Uint8Array | undefined> {
    const { clock, demandAlive } = this.#options;
    const startedMs = clock.nowMs();
    this.points.open(of.readPoint);
    try {
      for (;;) {
        demandAlive();
        const answer = await this.#attempt(group, of);
        if (!(answer instanceof Error)) return answer.content.length === 0 ? undefined : answer.content;
        if (clock.nowMs() - startedMs > PATIENCE_MS) {
          throw volumeErrors.VOLUME_UNREADABLE([of.page, describeError(answer)], { cause: answer });
        }
        await clock.sleep(RETRY_MS);
      }
    } finally {
      this.points.close(of.readPoint);
    }
  }

  /** One choice of members; answers the last error where none of them could serve. */
  async #attempt(
    group: Group,
    of: { page: PageNumber; readPoint: Lsn; requiredScl: Lsn },
  ): Promise<ReadAnswer | CodedError> {
    const { linkTo, sclOf, random, clock } = this.#options;
    // Another membership may come while answers are awaited; this attempt keeps to the one that it began with.
    const { roster } = group;
    const { members, router } = roster;
    const scls = members.map(({ node }) => (linkTo(group, node) ? sclOf(group, node) : undefined));
    const sample = random.below(SAMPLES) / SAMPLES;
    const choice = router.choose({ scls, requiredScl: of.requiredScl, sample });
    if (!choice)
      return volumeErrors.VOLUME_UNREADABLE([of.page, 'no full segment is connected and complete']);
    const asked: number[] = [];
    /** Members that have not answered yet, and when they were asked. */
    const open = new Map<number, number>();
    const outcome = new Deferred<ReadAnswer | CodedError>();
    const ask = async (place: number): Promise<void> => {
      asked.push(place);
      open.set(place, clock.nowMs());
      const answer = await this.#ask(group, { roster, place }, of);
      const startedMs = open.get(place);
      // Given up in favour of another one, and measured then: how late it came after all says nothing more.
      if (startedMs === undefined) return;
      open.delete(place);
      if (!(answer instanceof CodedError)) {
        router.measured(place, clock.nowMs() - startedMs);
        for (const [late, sinceMs] of open) router.measured(late, clock.nowMs() - sinceMs);
        open.clear();
        return outcome.resolve(answer);
      }
      // A member that refused: the next one at once; when all have, the last error is the outcome.
      const next = router.second({ scls, requiredScl: of.requiredScl, asked });
      if (next !== undefined) await ask(next);
      else if (open.size === 0) outcome.resolve(answer);
    };
    void ask(choice.member);
    if (choice.probe !== undefined) this.#probe(group, { roster, place: choice.probe }, of, outcome.promise);
    const cancelHedge = clock.after(router.hedgeDelayMs, () => {
      const next = router.second({ scls, requiredScl: of.requiredScl, asked });
      if (next !== undefined) void ask(next);
    });
    return outcome.promise.finally(cancelHedge);
  }

  /** Asks one more member only to learn its latency; the two answers must agree, for they are of one read point. */
  #probe(
    group: Group,
    whom: Asked,
    of: { page: PageNumber; readPoint: Lsn; requiredScl: Lsn },
    other: Promise<ReadAnswer | CodedError>,
  ): void {
    const { clock } = this.#options;
    const startedMs = clock.nowMs();
    const asked = this.#ask(group, whom, of).then((answer) => {
      if (!(answer instanceof CodedError)) whom.roster.router.measured(whom.place, clock.nowMs() - startedMs);
      return answer;
    });
    void Promise.all([asked, other]).then(([probe, answer]) => {
      if (probe instanceof CodedError || answer instanceof CodedError) return;
      assert(
        probe.pageLsn === answer.pageLsn && bytesEqual(probe.content, answer.content),
        () =>
          `two segments differ in page ${of.page} at ${of.readPoint}: ${probe.pageLsn}, ${answer.pageLsn}`,
      );
    });
  }

  async #ask(
    group: Group,
    { roster, place }: Asked,
    of: { page: PageNumber; readPoint: Lsn; requiredScl: Lsn },
  ): Promise<ReadAnswer | CodedError> {
    const { linkTo, volumeEpoch } = this.#options;
    const link = linkTo(group, roster.member(place).node);
    if (!link) return volumeErrors.VOLUME_UNREADABLE([of.page, 'member went away']);
    try {
      const request = encodeRead({ ...group.head(volumeEpoch), ...of });
      const body = await link.call(MESSAGE.READ, [request], { timeoutMs: READ_TIMEOUT_MS });
      const answer = decodeReadAnswer(body);
      assert(answer.content.length === 0 || answer.content.length === PAGE_SIZE, 'a page is whole or absent');
      return answer;
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (saysTakenOver(error)) this.#options.onTakenOver(error);
      roster.router.failed(place);
      return error;
    }
  }
}
