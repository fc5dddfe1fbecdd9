/** What a step of a document has come to, and what is kept of it. */

export interface StepResult {
  readonly name: string;
  /** `aws:runShellScript`. */
  readonly action: string;
  readonly status: StepStatus;
  /** `ExecutionTimedOut`: more than the status. */
  readonly statusDetails: string;
  /** -1 where there is none. */
  readonly responseCode: number;
  /** The first 24,000 characters. */
  readonly stdout: string;
  /** The first 8,000 characters. */
  readonly stderr: string;
  /** Undefined: it has not begun. */
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
}

export type StepStatus = 'Pending' | 'InProgress' | 'Success' | 'Failed' | 'TimedOut' | 'Cancelled';

/** As GetCommandInvocation tells them. */
const STDOUT_MAX = 24_000;
const STDERR_MAX = 8_000;

export const keptSteps = (steps: readonly StepResult[]): StepResult[] =>
  steps.map((step) => ({
    ...step,
    stdout: firstOf(step.stdout, STDOUT_MAX),
    stderr: firstOf(step.stderr, STDERR_MAX),
  }));

/** No half of a character, which is none in UTF-8. */
function firstOf(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const cut = text.slice(0, charactersMax);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
