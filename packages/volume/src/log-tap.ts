/**
 * The volume's durable log for whoever keeps it elsewhere: read from the storage nodes, like everything that a crash must not
 * lose, and kept there for as long as it is wanted.
 */
import {
  type CodedError,
  type Epoch,
  isCoded,
  type Lsn,
  must,
  type PgIndex,
  type VolumeId,
} from '@rokka/kernel';
import type { ProgressTracker } from '@rokka/quorum';
import { encodeFetch, MESSAGE } from '@rokka/storage';
import { volumeErrors } from './errors.ts';
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

export class LogTap {
  readonly #options: LogTapOptions;
  #turns = 0;

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
   * @throws VOLUME_LOG_UNREADABLE where no member gives them, VOLUME_FENCED, VOLUME_CLOSED
   */
  async fetchLog(pg: PgIndex, of: { after: Lsn; through: Lsn; limitBytes: number }): Promise<Uint8Array> {
    const { demandAlive, onTakenOver } = this.#options;
    const group = must(this.#options.groups[pg], 'no such protection group');
    let why = 'no member that has it is up';
    for (const link of this.#sources(group, of.through)) {
      demandAlive();
      try {
        const request = encodeFetch({ ...group.head(this.volumeEpoch), ...of });
        return await link.call(MESSAGE.FETCH, [request], { timeoutMs: FETCH_TIMEOUT_MS });
      } catch (error) {
        if (!isCoded(error)) throw error;
        if (saysTakenOver(error)) onTakenOver(error);
        why = error.message;
      }
    }
    demandAlive();
    throw volumeErrors.VOLUME_LOG_UNREADABLE([pg, of.after, of.through, why]);
  }

  /** The nodes keep the group's log above `after` until they are told otherwise. */
  holdLog(pg: PgIndex, after: Lsn): void {
    must(this.#options.groups[pg], 'no such protection group').heldAfter = after;
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
