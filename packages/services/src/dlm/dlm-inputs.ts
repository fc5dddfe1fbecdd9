/**
 * What inputs may say, beside the details of a policy (policy-details.ts). A member that is not carried out is refused, never dropped:
 * whoever asks for copies in other regions must not believe that he has them. What asks for nothing (`false`, an empty list) is no request.
 */
import { isRegion, type Scope } from '../scope.ts';
import { checkedTags, type TagRules } from '../tags.ts';
import { dlmFailures } from './dlm-failures.ts';

const DESCRIPTION = /^[0-9A-Za-z _-]{1,500}$/;

/** @param built names of members that are carried out, or looked at elsewhere @throws InvalidRequestException */
export function demandBuilt<I extends object>(input: I, built: readonly (keyof I & string)[]): void {
  for (const [member, value] of Object.entries(input)) {
    if ((built as readonly string[]).includes(member) || asksNothing(value)) continue;
    throw dlmFailures.invalid(`${member} is not supported here with this value: leave it out.`);
  }
}

function asksNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.values(value).every(asksNothing);
}

/** The scope of a call. @throws InvalidRequestException for a region that is none */
export function scopeOf({ account, region }: Scope): Scope {
  if (!isRegion(region)) throw dlmFailures.invalid(`${region.slice(0, 64)} is not a region.`);
  return { account, region };
}

/** @throws InvalidRequestException */
export function given<T>(value: T | undefined, member: string): T {
  if (value !== undefined && value !== '') return value;
  throw dlmFailures.invalid(`${member} must be given.`);
}

/** @throws InvalidRequestException */
export function checkedDescription(description: string | undefined): string {
  const text = given(description, 'Description');
  if (DESCRIPTION.test(text)) return text;
  throw dlmFailures.invalid('Description has 1 to 500 letters, digits, spaces, - and _.');
}

/** @throws InvalidRequestException */
export function checkedEnabled(state: string | undefined): boolean {
  if (state === 'ENABLED' || state === 'DISABLED') return state === 'ENABLED';
  throw dlmFailures.invalid(`State ${String(state).slice(0, 64)} is not ENABLED or DISABLED.`);
}

const policyTagRules: TagRules = { keyMax: 128, invalid: dlmFailures.invalid, tooMany: dlmFailures.invalid };

/** Those of a policy. Later ones count. @throws InvalidRequestException */
export function mergedTags(
  tags: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const pairs = Object.entries({ ...tags, ...more }).map(([Key, Value]) => ({ Key, Value }));
  return Object.fromEntries(checkedTags(pairs, policyTagRules).map(({ Key, Value }) => [Key, Value]));
}
