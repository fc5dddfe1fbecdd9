/**
 * What inputs may say. A member that is not carried out is refused, never dropped: whoever asks for output in a bucket, or for a
 * message at the end, must not believe that it comes. What asks for nothing (`false`, an empty list) is no request.
 */
import { isRegion, type Scope } from '../scope.ts';
import { isRate } from './rate-control.ts';
import { ssmFailures } from './ssm-failures.ts';

const DELIVERY_S_MIN = 30;
export const DELIVERY_S_MAX = 2_592_000;
const DELIVERY_S = 3600;
const COMMENT_MAX = 100;
const CONCURRENCY = '50';
const ERRORS = '0';

/** @throws ValidationException */
export function demandBuilt<I extends object>(input: I, built: readonly (keyof I & string)[]): void {
  for (const [member, value] of Object.entries(input)) {
    if ((built as readonly string[]).includes(member) || asksNothing(value)) continue;
    throw ssmFailures.invalid(`${member} is not supported here with this value: leave it out.`);
  }
}

function asksNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.values(value).every(asksNothing);
}

/** The scope of a call. @throws ValidationException for a region that is none */
export function scopeOf({ account, region }: Scope): Scope {
  if (!isRegion(region)) throw ssmFailures.invalid(`${region.slice(0, 64)} is not a region.`);
  return { account, region };
}

/** @throws ValidationException */
export function given<T>(value: T | undefined, member: string): T {
  if (value !== undefined && value !== '') return value;
  throw ssmFailures.invalid(`${member} must be given.`);
}

/** @throws ValidationException */
export const checked = {
  deliverySeconds(seconds: number = DELIVERY_S): number {
    if (Number.isInteger(seconds) && seconds >= DELIVERY_S_MIN && seconds <= DELIVERY_S_MAX) return seconds;
    throw ssmFailures.invalid(
      `TimeoutSeconds of ${seconds} is not valid: it is ${DELIVERY_S_MIN} to ${DELIVERY_S_MAX}.`,
    );
  },
  comment(comment = ''): string {
    if (comment.length <= COMMENT_MAX) return comment;
    throw ssmFailures.invalid(`Comment has more than ${COMMENT_MAX} characters.`);
  },
  maxConcurrency(rate: string = CONCURRENCY): string {
    if (isRate(rate) && !/^0%?$/.test(rate)) return rate;
    throw ssmFailures.invalid(
      `MaxConcurrency ${rate.slice(0, 16)} is not valid: it is a number such as 10, or a percentage such as 10%, and not 0.`,
    );
  },
  maxErrors(rate: string = ERRORS): string {
    if (isRate(rate)) return rate;
    throw ssmFailures.invalid(
      `MaxErrors ${rate.slice(0, 16)} is not valid: it is a number such as 10, or a percentage such as 10%.`,
    );
  },
};
