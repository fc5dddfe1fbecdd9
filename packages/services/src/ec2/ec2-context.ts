/**
 * What the part of EC2 that storage needs works on: records of databases with the engine `files`, records of kept points, and
 * which machines there are. It starts nothing.
 */
import type { Databases, Snapshots } from '@rokka/databases';
import type { Pages } from '@rokka/gateway';
import type { Clock, Random } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { IdentityServices } from '../iam/iam-context.ts';
import type { RecordStore } from '../record-store.ts';
import type { Scope, ZoneLetter } from '../scope.ts';
import type { Ec2Keeper } from './ec2-keeper.ts';

/** What is known of a machine; of another one than that of the cluster's first start it is little. */
export interface Machine {
  /** Never that of another machine. */
  readonly key: string;
  readonly host: string;
  readonly privateIp?: string | undefined;
  /** That of its first storage node. */
  readonly zone: ZoneLetter;
  readonly launchedAtMs?: number | undefined;
  /** Of the disk that has its data directory. */
  readonly bootBytes?: number | undefined;
  /** The one that made the cluster; another one has joined. */
  readonly isFirst: boolean;
}

export interface Ec2Context {
  readonly registry: Registry;
  readonly databases: Databases;
  readonly snapshots: Snapshots;
  /** The cluster's first one first. */
  machines(): Promise<readonly Machine[]>;
  /** Of the cluster's account: the roles of machines. */
  readonly identity: IdentityServices;
  readonly clock: Clock;
  /** Makes ids: `systemRandom` outside tests. */
  readonly random: Random;
}

/** The context with what is made of it once, for all operations. */
export interface Ec2Services extends Ec2Context {
  readonly store: RecordStore;
  readonly keeper: Ec2Keeper;
  readonly pages: Pages;
}

/** What steps are carried out with. */
export type StepContext = Ec2Context & { readonly store: RecordStore; readonly scope: Scope };
