/** What is told of a restore, for people. Pure. */
import type { Verdict } from '@rokka/snapshots';
import type { RestorePlan } from './restore-plan.ts';

/** Of one verifier. */
export interface Judgement {
  readonly verifier: string;
  readonly verdicts: readonly Verdict[];
}

export function planLines({ set, level, isConsistent, parts }: RestorePlan): string[] {
  const worth = isConsistent
    ? []
    : ['It has no tag AppConsistent: applications recover from it as its level lets them.'];
  return [
    `Snapshot set ${set}, level ${level}, ${parts.length} snapshots:`,
    ...parts.map(({ snapshot, shows, device }) => `  ${snapshot} of ${shows}, for ${device}`),
    ...worth,
  ];
}

export const judgementLines = (judgements: readonly Judgement[]): string[] =>
  judgements.flatMap(({ verifier, verdicts }) =>
    verdicts.map(
      ({ what, isClean, words }) => `${verifier}: ${what}: ${isClean ? 'clean' : 'NOT CLEAN'}: ${words}`,
    ),
  );

/** Undefined where everything starts clean. */
export function whyNotClean(judgements: readonly Judgement[]): string | undefined {
  const bad = judgements.flatMap(({ verifier, verdicts }) =>
    verdicts
      .filter(({ isClean }) => !isClean)
      .map(({ what, words }) => `${verifier} says of ${what}: ${words}`),
  );
  return bad.length === 0 ? undefined : ['not everything starts clean', ...bad].join('\n');
}
