/**
 * The volume's durable log for whoever keeps it elsewhere: read from the storage nodes, like everything that a crash must not
 * lose, and kept there for as long as it is wanted.
 */
import {
  CodedError,
  type Epoch,
  isCoded,
  type Lsn,
  must,
  type PageNumber,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import type { ProgressTracker } from '@rokka/quorum';
import { decodePagesAnswer, encodeFetch, encodePages, MESSAGE } from '@rokka/storage';
import { volumeErrors } from './errors.ts';
import { firstPageOf } from './geometry.ts';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { saysTakenOver } from './refusals.ts';
import type { VolumeRecord } from './volume-record.ts';

export interface LogTapOptions {
  record(): VolumeRecord;
  tracker(): ProgressTracker;
  groups: readonly Group[];
  /** The link to a member that obeys, while it is up. */
  linkTo(group: Group, node: Group['members'][number]['node']): NodeLink | undefined;
  sclOf(group: Group, node: Group['members'][number]['node']): Lsn | undefined;
  demandAlive(): void;
  onTakenOver(error: CodedError): void;
}

const FETCH_TIMEOUT_MS = 5_000;
/** The answer may wait at a node that has more urgent things to do. */
const COPY_TIMEOUT_MS = 20_000;
const COPY_BYTES = 512 * 1024;

export interface CopiedPages {
  readonly coalesced: Lsn;
  readonly shows: Lsn;
  readonly next: number;
  readonly pages: readonly { page: number; content: Uint8Array }[];
}

export class LogTap {
  readonly #options: LogTapOptions;
  #turns = 0;
  /** Bytes of log since the volume was opened. */
  appendedBytes = 0;

  constructor(options: LogTapOptions) {
    this.#options = options;
  }

  get volumeId(): VolumeId {
    return this.#options.record().volumeId;
  }

  get volumeEpoch(): Epoch {
    return this.#options.record().volumeEpoch;
  }

  get pagesPerGroup(): number {
    return this.#options.record().pagesPerGroup;
  }

  get groupCount(): number {
    return this.#options.groups.length;
  }

  /** Everything that was appended so far; durable or not. */
  get applied(): Lsn {
    return this.#options.tracker().lastLsn;
  }

  /** The VDL. */
  get durable(): Lsn {
    return this.#options.tracker().vdl;
  }

  /** The group's last record at or below the VDL; 0 where it has none. */
  lastDurableOf(pg: PgIndex): Lsn {
    return this.#options.tracker().lastLsnAtOrBelow(pg, this.durable);
  }

  /**
   * Records of the group in chain order, from the first after `after` on, at most to `through` and about `limitBytes` (at least
   * one record).
   * @throws VOLUME_LOG_DROPPED where every member that is up has let them go, VOLUME_LOG_UNREADABLE where none gives them now,
   * VOLUME_FENCED, VOLUME_CLOSED
   */
  async fetchLog(pg: PgIndex, of: { after: Lsn; through: Lsn; limitBytes: number }): Promise<Uint8Array> {
    const group = this.#group(pg);
    const answer = await this.#ask(this.#sources(group, of.through), (link) => {
      const request = encodeFetch({ ...group.head(this.volumeEpoch), ...of });
      return link.call(MESSAGE.FETCH, [request], { timeoutMs: FETCH_TIMEOUT_MS });
    });
    if (!(answer instanceof CodedError)) return answer;
    if (answer.code === 'STORAGE_LOG_DROPPED') throw volumeErrors.VOLUME_LOG_DROPPED([pg, of.after]);
    throw volumeErrors.VOLUME_LOG_UNREADABLE([pg, of.after, of.through, answer.message]);
  }

  /**
   * Pages of the group as they lie on a full member, those ever written, from `from` on, counted from the group's first: each
   * contains everything up to `coalesced`, at least up to `least`, and nothing above `shows`. `next` is where to go on.
   * @throws VOLUME_PAGES_UNREADABLE where no full member gives them now, VOLUME_FENCED, VOLUME_CLOSED
   */
  async copyPages(pg: PgIndex, of: { from: number; least: Lsn }): Promise<CopiedPages> {
    const group = this.#group(pg);
    const first = firstPageOf(pg, this.pagesPerGroup);
    const full = this.#sources(group, 0 as Lsn).filter((link) => group.isFull(link.node));
    const answer = await this.#ask(full, async (link) => {
      const request = encodePages({
        ...group.head(this.volumeEpoch),
        firstPage: (first + of.from) as PageNumber,
        endPage: (first + this.pagesPerGroup) as PageNumber,
        limitBytes: COPY_BYTES,
      });
      const copied = decodePagesAnswer(
        await link.call(MESSAGE.PAGES, [request], { timeoutMs: COPY_TIMEOUT_MS }),
      );
      // It may have begun anew, with pages that reach less far.
      return copied.coalesced < of.least ? undefined : copied;
    });
    if (answer instanceof CodedError) throw volumeErrors.VOLUME_PAGES_UNREADABLE([pg, answer.message]);
    const { coalesced, shows, nextPage, pages } = answer;
    const relative = pages.map(({ page, content }) => ({ page: page - first, content }));
    return { coalesced, shows, next: nextPage - first, pages: relative };
  }

  /** The nodes keep the group's log above `after` until they are told otherwise. */
  holdLog(pg: PgIndex, after: Lsn): void {
    this.#group(pg).heldAfter = after;
  }

  #group(pg: PgIndex): Group {
    return must(this.#options.groups[pg], 'no such protection group');
  }

  /** The first answer; else why members refused: that log was dropped only where all of them say so. */
  async #ask<T>(
    links: readonly NodeLink[],
    call: (link: NodeLink) => Promise<T | undefined>,
  ): Promise<T | CodedError> {
    const { demandAlive, onTakenOver } = this.#options;
    const refusals: CodedError[] = [];
    for (const link of links) {
      demandAlive();
      try {
        const answer = await call(link);
        if (answer !== undefined) return answer;
      } catch (error) {
        if (!isCoded(error)) throw error;
        if (saysTakenOver(error)) onTakenOver(error);
        refusals.push(error);
      }
    }
    demandAlive();
    const other = refusals.find(({ code }) => code !== 'STORAGE_LOG_DROPPED');
    return other ?? refusals[0] ?? new CodedError('VOLUME_NODE_DOWN', 'no member that has it is up');
  }

  /** Members that have everything, tails first, which have less to do; another one first each time. */
  #sources(group: Group, through: Lsn): NodeLink[] {
    const { linkTo, sclOf } = this.#options;
    const able = group.members.filter(({ node }) => (sclOf(group, node) ?? 0) >= through);
    const links = able.flatMap(({ node, kind }) => {
      const link = linkTo(group, node);
      return link ? [{ link, kind }] : [];
    });
    const turn = this.#turns++;
    return links
      .map((one, at) => ({ ...one, place: (at + turn) % links.length }))
      .sort((a, b) => Number(a.kind === 'full') - Number(b.kind === 'full') || a.place - b.place)
      .map(({ link }) => link);
  }
}
