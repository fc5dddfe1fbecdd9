/** ARNs of users, roles and policies (IAM User Guide, "IAM ARNs"). */
import { arnOf } from '../arn.ts';
import type { EntityKind } from './documents.ts';

const RESOURCE_TYPES: Record<EntityKind, string> = {
  users: 'user',
  groups: 'group',
  roles: 'role',
  policies: 'policy',
  'instance-profiles': 'instance-profile',
};

/** `arn:aws:iam::ACCOUNT:user/PATH/NAME`. */
export function entityArn(account: string, kind: EntityKind, of: { path: string; name: string }): string {
  return arnOf({
    service: 'iam',
    region: '',
    account,
    resource: `${RESOURCE_TYPES[kind]}${of.path}${of.name}`,
  });
}

/** `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`: without the role's path. */
export function assumedRoleArn(account: string, roleName: string, sessionName: string): string {
  return arnOf({ service: 'sts', region: '', account, resource: `assumed-role/${roleName}/${sessionName}` });
}

export interface ParsedEntityArn {
  readonly account: string;
  readonly kind: EntityKind;
  readonly path: string;
  readonly name: string;
}

const KINDS = Object.fromEntries(
  Object.entries(RESOURCE_TYPES).map(([kind, type]) => [type, kind as EntityKind]),
);

/** Undefined for what is no ARN of IAM. */
export function parseEntityArn(arn: string): ParsedEntityArn | undefined {
  const match = /^arn:aws:iam::(\d{12}|aws):([a-z-]+)(\/(?:[!-~]+\/)?)([\w+=,.@-]+)$/.exec(arn);
  if (!match || !Object.hasOwn(KINDS, match[2])) return undefined;
  const kind = KINDS[match[2]];
  return { account: match[1], kind, path: match[3], name: match[4] };
}
