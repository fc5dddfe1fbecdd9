/**
 * What comes next of a document, from how its steps went so far. Pure; the rules are those of schemaVersion 2.2:
 *
 * - a step for another platform is skipped;
 * - after a failure the next step runs, unless `onFailure` says that it ends there, as failed or as if all had gone well;
 * - what is cancelled, or has taken too long, runs no further step but the last one that `finallyStep` names, which runs however the others went.
 *
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html
 */
import type { DocumentStep, Ending, StepResult } from '@rokka/services';

export type Stopped = 'Cancelled' | 'TimedOut';

export type Next =
  | { readonly kind: 'run'; readonly at: number }
  | { readonly kind: 'skip'; readonly at: number; readonly why: Skipped }
  | { readonly kind: 'end'; readonly status: Ending['status'] };

/** `Skipped`: it is not for this platform, or comes after an end. */
export type Skipped = 'Skipped' | Stopped;

const PLATFORM = 'Linux';

/** @param results of the first steps, each with an end */
export function nextOf(
  steps: readonly DocumentStep[],
  results: readonly StepResult[],
  stopped: Stopped | undefined,
): Next {
  const at = results.length;
  const step = steps[at];
  const end = endAfter(steps, results);
  if (!step) return { kind: 'end', status: stopped ?? statusOf(results, end) };
  if (step.platform !== undefined && step.platform !== PLATFORM) return { kind: 'skip', at, why: 'Skipped' };
  if (step.finallyStep || (!stopped && !end)) return { kind: 'run', at };
  return { kind: 'skip', at, why: stopped ?? 'Skipped' };
}

/** Which step has ended the document before its time. */
function endAfter(steps: readonly DocumentStep[], results: readonly StepResult[]) {
  for (const [at, { status, statusDetails }] of results.entries()) {
    const { onFailure, onSuccess } = steps[at] ?? {};
    if (status === 'Success' && statusDetails !== 'Skipped' && onSuccess === 'exit') return 'exit';
    if (isFailure(status) && onFailure) return onFailure;
  }
  return undefined;
}

function statusOf(results: readonly StepResult[], end: ReturnType<typeof endAfter>): Ending['status'] {
  if (end === 'successAndExit') return 'Success';
  return results.some(({ status }) => isFailure(status)) ? 'Failed' : 'Success';
}

const isFailure = (status: StepResult['status']) => status === 'Failed' || status === 'TimedOut';
