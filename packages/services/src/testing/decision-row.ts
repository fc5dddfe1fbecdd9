/** A row of the table of decisions: policies, a call, and what must come out. */
import type { Decision } from '@rokka/gateway';

export type Statement = Record<string, unknown>;

export interface Row {
  name: string;
  expected: Decision;
  action: string;
  resource: string;
  /** Each list is a policy. */
  policies: readonly (readonly Statement[])[];
  /** Policies of AWS, by name. */
  builtIn?: string[];
  boundary?: readonly Statement[];
  /** Makes the caller a session of a role. */
  session?: readonly Statement[];
  /** Makes the policies a group's. */
  viaGroup?: boolean;
  context?: Record<string, string | string[]>;
  /** Why the other program is not asked. */
  notComparable?: string;
}

export const A = '000000000000';
export const cluster = (name: string) => `arn:aws:rds:eu-west-1:${A}:cluster:${name}`;
export const instance = (name: string) => `arn:aws:ec2:eu-west-1:${A}:instance/${name}`;
export const user = (name: string) => `arn:aws:iam::${A}:user/${name}`;
export const role = (name: string) => `arn:aws:iam::${A}:role/${name}`;
export const parameter = (name: string) => `arn:aws:ssm:eu-west-1:${A}:parameter/${name}`;

export const allow = (
  Action: string | string[],
  Resource: string | string[] = '*',
  more: Statement = {},
): Statement => ({
  Effect: 'Allow',
  Action,
  Resource,
  ...more,
});
export const deny = (
  Action: string | string[],
  Resource: string | string[] = '*',
  more: Statement = {},
): Statement => ({
  ...allow(Action, Resource, more),
  Effect: 'Deny',
});
export const when = (operator: string, key: string, value: unknown) => ({
  Condition: { [operator]: { [key]: value } },
});

export const PATTERN = 'it takes a wildcard in the request for a pattern';
export const DELETE = { action: 'rds:DeleteDBCluster', resource: cluster('orders') };
export const LIST = { action: 'ec2:DescribeInstances', resource: '*' };
