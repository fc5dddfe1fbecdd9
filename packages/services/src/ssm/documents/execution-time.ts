/** How long the steps of a document may take. */
import type { DocumentStep } from './document-model.ts';

/** Of a step that does not say. */
const DEFAULT_S = 3600;
const MAX_S = 172_800;

/** Of all steps together, in seconds; each says it as `timeoutSeconds`, with AWS's default of an hour. */
export const executionSeconds = (steps: readonly Pick<DocumentStep, 'inputs'>[]): number =>
  steps.reduce((sum, step) => sum + stepSeconds(step), 0);

export function stepSeconds({ inputs }: Pick<DocumentStep, 'inputs'>): number {
  const given = inputs['timeoutSeconds'];
  const seconds = typeof given === 'string' && given !== '' ? Number(given) : given;
  const isRight = typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0;
  return isRight ? Math.min(seconds, MAX_S) : DEFAULT_S;
}
