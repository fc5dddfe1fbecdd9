/** ARNs of RDS. */
import { arnOf } from '../arn.ts';
import type { Scope } from '../scope.ts';

/** As ARNs call them. */
export type ResourceKind = 'cluster' | 'db' | 'cluster-snapshot';

export function rdsArn(scope: Scope, kind: ResourceKind, id: string): string {
  const { account, region } = scope;
  return arnOf({ service: 'rds', account, region, resource: `${kind}:${id}` });
}
