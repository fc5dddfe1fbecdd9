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
  type PageNumber,
  type Random,
} from '@rokka/kernel';
import { ReadPoints } from '@rokka/quorum';
import { decodeReadAnswer, encodeRead, MESSAGE, type ReadAnswer } from '@rokka/storage';
import { AnswerMemory } from './answer-memory.ts';
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

/** Pages of one group, at most READ_PAGES_MAX of them, as of a read point. */
interface ReadOf {
  readonly pages: readonly PageNumber[];
  readonly readPoint: Lsn;
  readonly requiredScl: Lsn;
}

type Content = Uint8Array | undefined;

/** A member that was asked, when, and how many pages it had to answer with those. */
interface Question {
  readonly place: number;
  readonly sinceMs: number;
  readonly depth: number;
}

/** A member, by its place in the roster that the attempt began with. */
interface Asked {
  readonly roster: Roster;
  readonly place: number;
}

export class PageReader {
  readonly #options: PageReaderOptions;
  readonly points = new ReadPoints();
  readonly #memory = new AnswerMemory();

  constructor(options: PageReaderOptions) {
    this.#options = options;
  }

  /**
   * The content of each page, undefined for one never written. Each settles for itself.
   * @throws by page: VOLUME_UNREADABLE, or what demandAlive throws
   */
  read(group: Group, of: ReadOf): Promise<Content>[] {
    if (of.pages.length === 1) return [this.#readAlone(group, of)];
    const outcomes = of.pages.map(() => new Deferred<Content>());
    void this.#settle(group, of, outcomes);
    return outcomes.map(({ promise }) => promise);
  }

  /** A content that was read is not looked at any more: its memory may be another answer's. */
  giveBack(content: Uint8Array): void {
    this.#memory.giveBack(content);
  }

  /** Most reads are of one page, and there are many of them: what each leaves to the collector counts. */
  #readAlone(group: Group, of: ReadOf): Promise<Content> {
    this.points.open(of.readPoint);
    const content = this.#readPatiently(group, of).finally(() => this.points.close(of.readPoint));
    // Whoever asked may have gone.
    content.catch(() => {});
    return content;
  }

  async #settle(group: Group, of: ReadOf, outcomes: readonly Deferred<Content>[]): Promise<void> {
    const { pages } = of;
    let at = 0;
    this.points.open(of.readPoint);
    try {
      // Together for as long as somebody serves them; then the one that nobody does must not hold up the rest.
      while (at < pages.length - 1) {
        this.#options.demandAlive();
        const answer = await this.#attempt(group, { ...of, pages: pages.slice(at) });
        if (answer instanceof Error) break;
        for (const { content } of answer) outcomes[at++].resolve(content.length === 0 ? undefined : content);
      }
      const rest = pages.slice(at).map((page) => this.#readPatiently(group, { ...of, pages: [page] }));
      for (const [index, content] of rest.entries())
        content.then(outcomes[at + index].resolve, outcomes[at + index].reject);
      await Promise.allSettled(rest);
    } catch (error) {
      for (const outcome of outcomes.slice(at)) outcome.reject(error);
    } finally {
      this.points.close(of.readPoint);
    }
  }

  async #readPatiently(group: Group, of: ReadOf): Promise<Content> {
    const { clock, demandAlive } = this.#options;
    const startedMs = clock.nowMs();
    for (;;) {
      demandAlive();
      const answer = await this.#attempt(group, of);
      if (!(answer instanceof Error)) return answer[0].content.length === 0 ? undefined : answer[0].content;
      if (clock.nowMs() - startedMs > PATIENCE_MS)
        throw volumeErrors.VOLUME_UNREADABLE([of.pages[0], describeError(answer)], { cause: answer });
      await clock.sleep(RETRY_MS);
    }
  }

  /** One choice of members; answers the last error where none of them could serve. */
  async #attempt(group: Group, of: ReadOf): Promise<ReadAnswer | CodedError> {
    const { linkTo, sclOf, random, clock } = this.#options;
    // Another membership may come while answers are awaited; this attempt keeps to the one that it began with.
    const { roster } = group;
    const { members, router } = roster;
    const scls = members.map(({ node }) => (linkTo(group, node) ? sclOf(group, node) : undefined));
    const sample = random.below(SAMPLES) / SAMPLES;
    const choice = router.choose({ scls, requiredScl: of.requiredScl, sample });
    if (!choice)
      return volumeErrors.VOLUME_UNREADABLE([of.pages[0], 'no full segment is connected and complete']);
    const asked: number[] = [];
    /** Of members that have not answered yet. */
    let open: Question[] = [];
    const outcome = new Deferred<ReadAnswer | CodedError>();
    const ask = async (place: number): Promise<void> => {
      asked.push(place);
      const question = { place, sinceMs: clock.nowMs(), depth: router.asked(place, of.pages.length) };
      open.push(question);
      const answer = await this.#ask(group, { roster, place }, of, () => !open.includes(question));
      // Given up in favour of another one, and measured then: how late it came after all says nothing more.
      if (!open.includes(question)) return this.#discard(answer);
      if (!(answer instanceof CodedError)) {
        const nowMs = clock.nowMs();
        for (const { place: each, sinceMs, depth } of open) router.measured(each, nowMs - sinceMs, depth);
        open = [];
        // A probe is compared with it later on.
        if (choice.probe === undefined) this.#memory.lend(answer);
        return outcome.resolve(answer);
      }
      open.splice(open.indexOf(question), 1);
      // A member that refused: the next one at once; when all have, the last error is the outcome.
      const next = router.second({ scls, requiredScl: of.requiredScl, asked });
      if (next !== undefined) await ask(next);
      else if (open.length === 0) outcome.resolve(answer);
    };
    void ask(choice.member);
    if (choice.probe !== undefined) this.#probe(group, { roster, place: choice.probe }, of, outcome.promise);
    const hedge = () => {
      const next = router.second({ scls, requiredScl: of.requiredScl, asked });
      if (open.length > 0 && next !== undefined) void ask(next);
    };
    // What has arrived by then is taken first: where this process stood still, no member was late.
    const cancelHedge = clock.after(router.hedgeDelayMs, () => clock.soon(hedge));
    return outcome.promise.finally(cancelHedge);
  }

  /** Asks one more member only to learn its latency; the two answers must agree, for they are of one read point. */
  #probe(group: Group, whom: Asked, of: ReadOf, other: Promise<ReadAnswer | CodedError>): void {
    const { clock } = this.#options;
    const { roster, place } = whom;
    const startedMs = clock.nowMs();
    const depth = roster.router.asked(place, of.pages.length);
    let isOver = false;
    const asked = this.#ask(group, whom, of, () => isOver).then((answer) => {
      if (!(answer instanceof CodedError) || isOutrun(answer, isOver))
        roster.router.measured(place, clock.nowMs() - startedMs, depth);
      return answer;
    });
    void other.then(() => (isOver = true));
    void Promise.all([asked, other]).then(([probe, answer]) => {
      if (probe instanceof CodedError) return;
      if (!(answer instanceof CodedError)) demandEqual(probe, answer, of);
      this.#memory.discard(probe);
    });
  }

  #discard(answer: ReadAnswer | CodedError): void {
    if (!(answer instanceof CodedError)) this.#memory.discard(answer);
  }

  /** @param isOver whether somebody else has answered by now */
  async #ask(
    group: Group,
    { roster, place }: Asked,
    of: ReadOf,
    isOver: () => boolean,
  ): Promise<ReadAnswer | CodedError> {
    const { linkTo, volumeEpoch } = this.#options;
    const { router } = roster;
    try {
      const link = linkTo(group, roster.member(place).node);
      if (!link) return volumeErrors.VOLUME_UNREADABLE([of.pages[0], 'member went away']);
      const request = encodeRead({ ...group.head(volumeEpoch), ...of });
      const body = await link.call(MESSAGE.READ, [request], {
        timeoutMs: READ_TIMEOUT_MS,
        into: (length) => this.#memory.take(length),
      });
      const answer = decodeReadAnswer(body);
      assert(answer.length <= of.pages.length, 'no more than was asked for');
      return answer;
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (saysTakenOver(error)) this.#options.onTakenOver(error);
      if (!isOutrun(error, isOver())) router.failed(place);
      return error;
    } finally {
      router.answered(place, of.pages.length);
    }
  }
}

/** The read point was closed when another one had answered, and the node has heard of a later one since: it was slow, and is not to blame. */
function isOutrun(error: CodedError, isOver: boolean): boolean {
  return isOver && isCoded(error, 'STORAGE_BELOW_READ_WINDOW');
}

function demandEqual(a: ReadAnswer, b: ReadAnswer, { pages, readPoint }: ReadOf): void {
  for (let at = 0; at < Math.min(a.length, b.length); at++)
    assert(
      a[at].pageLsn === b[at].pageLsn && bytesEqual(a[at].content, b[at].content),
      () => `two segments differ in page ${pages[at]} at ${readPoint}: ${a[at].pageLsn}, ${b[at].pageLsn}`,
    );
}
