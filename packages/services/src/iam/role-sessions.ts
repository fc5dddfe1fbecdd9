/** How long a session of a role may last (IAM API Reference, CreateRole). */
import { iamFailures } from './iam-failures.ts';

const SECONDS_MIN = 3_600;
const SECONDS_MAX = 43_200;

/** One hour where nothing is said. @throws ValidationError */
export function checkedSessionSeconds(seconds: number | undefined): number {
  if (seconds === undefined) return SECONDS_MIN;
  if (Number.isInteger(seconds) && seconds >= SECONDS_MIN && seconds <= SECONDS_MAX) return seconds;
  throw iamFailures.validation(
    `MaxSessionDuration ${seconds} must be ${SECONDS_MIN} to ${SECONDS_MAX} seconds`,
  );
}
