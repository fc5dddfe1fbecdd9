/** What a service answers to another one that asks it to do something. */
import { AwsError } from '@rokka/gateway';

/** What was refused, as a part of a sentence; undefined for what is no answer: that may go well the next time. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const isAnswer = error instanceof AwsError || '$fault' in error;
  return isAnswer ? `${error.name}: ${error.message}`.replace(/\.$/, '') : undefined;
}
