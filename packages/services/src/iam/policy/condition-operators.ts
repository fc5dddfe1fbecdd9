/**
 * The condition operators of IAM's policy language (IAM User Guide, "IAM JSON policy elements: Condition operators"): for
 * each one how a value that the policy gives becomes a test of a value that the request has.
 */
import { BlockList, isIP } from 'node:net';
import { Pattern, type Variables } from './pattern.ts';

export type Test = (found: string, variables: Variables) => boolean;

export interface Operator {
  /** Undefined where the operator cannot compare with this value. */
  readonly test: (value: string, variables: boolean) => Test | undefined;
  /** `Not`: holds where none of the values matches, and where the key is missing. */
  readonly negated: boolean;
}

type MakeTest = Operator['test'];

const text =
  (options: { wildcards: boolean; ignoreCase?: boolean }): MakeTest =>
  (value, variables) => {
    const pattern = new Pattern(value, { ...options, variables });
    return (found, from) => pattern.matches(found, from);
  };

const compared =
  (parse: (text: string) => number, holds: (found: number, value: number) => boolean): MakeTest =>
  (value) => {
    const own = parse(value);
    if (Number.isNaN(own)) return undefined;
    return (found) => {
      const other = parse(found);
      return !Number.isNaN(other) && holds(other, own);
    };
  };

const parseNumber = (value: string) => (/^[+-]?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN);

/** ISO 8601, or seconds since 1970. */
const parseDate = (value: string) =>
  /^\d+$/.test(value)
    ? Number(value) * 1000
    : /^\d{4}(-\d{2}){0,2}(T.*)?$/.test(value)
      ? Date.parse(value)
      : Number.NaN;

const bool: MakeTest = (value) => {
  const own = value.toLowerCase();
  if (own !== 'true' && own !== 'false') return undefined;
  return (found) => found.toLowerCase() === own;
};

const binary: MakeTest = (value) => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  return (found) => found === value;
};

/** IPv4 that came through an IPv6 socket is IPv4. */
const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '');

const address: MakeTest = (value) => {
  const [network, bits, rest] = value.split('/');
  const version = isIP(network);
  const most = version === 4 ? 32 : 128;
  if (version === 0 || rest !== undefined || !/^\d{1,3}$/.test(bits ?? String(most))) return undefined;
  const length = Number(bits ?? most);
  if (length > most) return undefined;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, length, family);
  return (found) => {
    const plain = plainAddress(found);
    return isIP(plain) === version && list.check(plain, family);
  };
};

/** ArnEquals is ArnLike: each of the six segments is compared by itself. */
const arn: MakeTest = (value, variables) => {
  const segments = segmentsOf(value);
  if (segments === undefined) return value === '*' ? () => true : undefined;
  const patterns = segments.map((each) => new Pattern(each, { wildcards: true, variables }));
  return (found, from) => {
    const others = segmentsOf(found);
    return others !== undefined && patterns.every((pattern, i) => pattern.matches(others[i], from));
  };
};

/** Colons inside `${…}` separate nothing. */
function segmentsOf(value: string): string[] | undefined {
  const parts = value.match(/\$\{[^}]*\}|[^:$]+|[$:]/g) ?? [];
  const segments = [''];
  for (const part of parts) {
    if (part === ':' && segments.length < 6) segments.push('');
    else segments[segments.length - 1] += part;
  }
  return segments.length === 6 ? segments : undefined;
}

const both = (name: string, negatedName: string, test: MakeTest): [string, Operator][] => [
  [name, { test, negated: false }],
  [negatedName, { test, negated: true }],
];

const ordered = (kind: string, parse: (text: string) => number): [string, Operator][] => [
  ...both(
    `${kind}Equals`,
    `${kind}NotEquals`,
    compared(parse, (a, b) => a === b),
  ),
  [`${kind}LessThan`, { test: compared(parse, (a, b) => a < b), negated: false }],
  [`${kind}LessThanEquals`, { test: compared(parse, (a, b) => a <= b), negated: false }],
  [`${kind}GreaterThan`, { test: compared(parse, (a, b) => a > b), negated: false }],
  [`${kind}GreaterThanEquals`, { test: compared(parse, (a, b) => a >= b), negated: false }],
];

/** By lower-case name. `Null` is not among them: it asks for the key, not for its value. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  [
    ...both('StringEquals', 'StringNotEquals', text({ wildcards: false })),
    ...both(
      'StringEqualsIgnoreCase',
      'StringNotEqualsIgnoreCase',
      text({ wildcards: false, ignoreCase: true }),
    ),
    ...both('StringLike', 'StringNotLike', text({ wildcards: true })),
    ...ordered('Numeric', parseNumber),
    ...ordered('Date', parseDate),
    ...both('IpAddress', 'NotIpAddress', address),
    ...both('ArnEquals', 'ArnNotEquals', arn),
    ...both('ArnLike', 'ArnNotLike', arn),
    ['Bool', { test: bool, negated: false }] as [string, Operator],
    ['BinaryEquals', { test: binary, negated: false }] as [string, Operator],
  ].map(([name, operator]) => [name.toLowerCase(), operator]),
);
