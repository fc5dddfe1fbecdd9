/** ARNs of EC2. */
import { arnOf } from '../arn.ts';
import type { Scope } from '../scope.ts';
import type { ResourceKind } from './ec2-ids.ts';

/** @param id `*` for one that is not there yet */
export function ec2Arn({ account, region }: Scope, kind: ResourceKind, id: string): string {
  // Snapshots and images may be public, so their ARNs name no account.
  const owner = kind === 'snapshot' || kind === 'image' ? '' : account;
  return arnOf({ service: 'ec2', region, account: owner, resource: `${kind}/${id}` });
}
