/** What SSM works on: its records, and which instances there are. It starts nothing. */
import type { Pages } from '@rokka/gateway';
import type { Clock, Random } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { StandingRights } from '../iam/standing-rights.ts';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';

/** A machine, as EC2 shows it in an account and region. */
export interface SsmInstance {
  readonly id: string;
  /** That its agent tells of itself. */
  readonly machineKey: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface SsmContext {
  readonly registry: Registry;
  instances(scope: Scope): Promise<readonly SsmInstance[]>;
  /** What those may who have associations. */
  readonly rights: StandingRights;
  readonly clock: Clock;
  /** Makes ids: `systemRandom` outside tests. */
  readonly random: Random;
}

/** The context with what is made of it once, for all operations. */
export interface SsmServices extends SsmContext {
  readonly store: RecordStore;
  readonly pages: Pages;
}
