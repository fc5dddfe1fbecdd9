/**
 * Regular expressions that somebody else has written. One can be made to run for years on a short text, so all of a document's run
 * under one deadline: they would hold up everybody.
 */
import * as vm from 'node:vm';
import { ssmFailures } from '../ssm-failures.ts';

const PATTERN_MAX = 1024;
/** By the wall clock: a busy machine must not refuse what is right, and everybody waits for what is not. */
const DEADLINE_MS = 1_000;
const SCRIPT = new vm.Script(
  'for (at = 0; at < checks.length && checks[at].values.every((value) => new RegExp(checks[at].pattern).test(value)); at++);',
);

export interface PatternCheck {
  readonly name: string;
  readonly pattern: string;
  readonly values: readonly string[];
}

/** @throws InvalidDocumentContent */
export function demandPattern(pattern: string, what: string): void {
  try {
    void new RegExp(pattern);
    if (pattern.length <= PATTERN_MAX) return;
  } catch {
    // Told below.
  }
  throw ssmFailures.documentContent(
    `Invalid document: ${what}.allowedPattern is no regular expression of up to ${PATTERN_MAX} characters.`,
  );
}

/** The first that does not match, or of which that is not known in time. */
export function firstMismatch(checks: readonly PatternCheck[]): PatternCheck | undefined {
  const context = { at: 0, checks };
  try {
    SCRIPT.runInNewContext(context, { timeout: DEADLINE_MS });
  } catch {
    // It was looking at this one.
  }
  return checks[context.at];
}
