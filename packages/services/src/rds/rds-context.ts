/** What the RDS API works on: records of databases and snapshots, and what the archive knows of times. It starts nothing. */
import type { Databases, Snapshots } from '@rokka/databases';
import type { Pages } from '@rokka/gateway';
import type { Clock, Lsn, Random, VolumeId } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { RdsKeeper } from './rds-keeper.ts';
import type { RecordStore } from '../record-store.ts';

/** Points in time that a volume can be restored to. */
export interface ArchivePoints {
  /** The first and the last; undefined where there is none. */
  span(volume: VolumeId): Promise<{ firstMs: number; lastMs: number } | undefined>;
  /** The last one at or before `atMs`. */
  at(volume: VolumeId, atMs: number): Promise<{ atMs: number; lsn: Lsn } | undefined>;
}

export interface RdsContext {
  readonly registry: Registry;
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  readonly points: ArchivePoints;
  readonly clock: Clock;
  /** Makes ids and passwords: `systemRandom` outside tests. */
  readonly random: Random;
}

/** The context with what is made of it once, for all operations. */
export interface RdsServices extends RdsContext {
  readonly store: RecordStore;
  readonly keeper: RdsKeeper;
  readonly pages: Pages;
}
