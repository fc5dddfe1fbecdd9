/**
 * Names of clusters, instances and snapshots: one spelling each, in small letters, whether a caller writes capitals or an
 * ARN. What may be done is decided on that spelling too, so that a policy for `prod` is one for `PROD`.
 */
import { rdsArn, type ResourceKind } from './rds-arns.ts';
import { isRegion, type Scope } from '../scope.ts';
import { rdsFailures } from './rds-failures.ts';

export interface NamedResource {
  readonly kind: ResourceKind;
  readonly id: string;
}

const LENGTH_MAX: Record<ResourceKind, number> = { cluster: 63, db: 63, 'cluster-snapshot': 255 };

/** The scope of a call. @throws InvalidParameterValue for a region that is none */
export function scopeOf({ account, region }: Scope): Scope {
  if (!isRegion(region)) throw rdsFailures.parameter(`${region.slice(0, 64)} is not a region.`);
  return { account, region };
}

/** @param member of the input, for the message @throws InvalidParameterValue */
export function newName(kind: ResourceKind, name: string | undefined, member: string): string {
  const id = (name ?? '').toLowerCase();
  if (!isName(kind, id))
    throw rdsFailures.parameter(
      `The parameter ${member} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; must not end with a hyphen or contain two consecutive hyphens; and have at most ${LENGTH_MAX[kind]} characters.`,
    );
  return id;
}

/** Of what should be there, by its name or ARN. @throws the kind's fault for what cannot be there */
export function knownName(kind: ResourceKind, name: string | undefined, scope: Scope): string {
  const text = name ?? '';
  const id = (text.startsWith('arn:') ? idInArn(kind, text, scope) : text.toLowerCase()) ?? '';
  if (!isName(kind, id)) throw rdsFailures.notFound(kind, text);
  return id;
}

/** What a resource's ARN names. @throws InvalidParameterValue */
export function parseArn(arn: string | undefined, scope: Scope): NamedResource {
  const text = arn ?? '';
  for (const kind of ['cluster', 'db', 'cluster-snapshot'] as const) {
    const id = idInArn(kind, text, scope);
    if (id !== undefined && isName(kind, id)) return { kind, id };
  }
  throw rdsFailures.parameter(`Invalid resource name: ${text.slice(0, 300)}`);
}

/** The ARN in its one spelling. @throws InvalidParameterValue */
export function canonicalArn(arn: string | undefined, scope: Scope): string {
  const { kind, id } = parseArn(arn, scope);
  return rdsArn(scope, kind, id);
}

function idInArn(kind: ResourceKind, arn: string, scope: Scope): string | undefined {
  const start = rdsArn(scope, kind, '');
  return arn.startsWith(start) ? arn.slice(start.length).toLowerCase() : undefined;
}

function isName(kind: ResourceKind, id: string): boolean {
  return id.length <= LENGTH_MAX[kind] && /^[a-z](-?[a-z0-9])*$/.test(id);
}
