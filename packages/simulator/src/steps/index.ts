/**
 * What each kind of step does to the world. A new kind of step is a member of `Step` (schedule.ts), an action here, and a
 * place in the draws (plots.ts). An action that finds nothing to do, or that the atlas does not allow now, answers false.
 */
import type { Step, StepKind, StepOf } from '../schedule.ts';
import type { World } from '../world.ts';
import { diskActions } from './disks.ts';
import { membershipActions } from './membership.ts';
import { networkActions } from './network.ts';
import { nodeActions } from './nodes.ts';
import { tornMtrActions } from './torn-mtr.ts';
import { writerActions } from './writers.ts';

/** Does the step to the world, now. Answers whether it did anything. */
export type Action<K extends StepKind> = (world: World, step: StepOf<K>) => boolean;
export type Actions<K extends StepKind> = { readonly [P in K]: Action<P> };

const ACTIONS: Actions<StepKind> = {
  ...writerActions,
  ...nodeActions,
  ...networkActions,
  ...diskActions,
  ...membershipActions,
  ...tornMtrActions,
};

/** Carries out one step now, and reports it. */
export function carryOut(world: World, step: Step): void {
  const action = ACTIONS[step.kind] as Action<StepKind>;
  const done = action(world, step);
  world.count(done ? step.kind : 'skipped');
  if (done && step.kind !== 'work')
    world.events.append({ kind: 'fate', who: 'schedule', what: step.kind, why: describeStep(step) });
}

/** What the step says beside its kind and its time, for people. */
export function describeStep(step: Step): string {
  const parts = Object.entries(step).filter(([name]) => !['atMs', 'kind', 'salt'].includes(name));
  return parts.map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(',') : value}`).join(' ');
}
