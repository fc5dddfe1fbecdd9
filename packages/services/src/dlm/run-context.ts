/** A run and what it is carried out with: how its record changes, and what its role may. */
import { AwsError } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import type { RoleAsk } from '../sts/service-role.ts';
import type { Tag } from '../tags.ts';
import type { DlmServices } from './dlm-context.ts';
import { policyKey, type PolicyRecord, type Run } from './dlm-records.ts';
import { whyDenied } from './execution-role.ts';
import type { Lane } from './run-snapshots.ts';

export type RunContext = Lane & { readonly services: DlmServices; readonly scope: Scope };

/** Where the role may not, the policy is in error too, with what it was denied first. @throws AccessDenied */
export async function demandAllowed(of: RunContext, asks: readonly RoleAsk[]): Promise<void> {
  const { services, scope, policy } = of;
  const error = await whyDenied(services, scope, { policy, asks });
  if (error === undefined) return;
  await services.store.change<PolicyRecord>(policyKey(scope, policy.id), (found) =>
    found && found.error === undefined ? { ...found, error } : found,
  );
  throw new AwsError('AccessDenied', error);
}

export function withAction(
  asks: readonly (Omit<RoleAsk, 'action'> & { readonly action?: string })[],
  action: string,
  tags: readonly Tag[] = [],
): RoleAsk[] {
  const requested = {
    ...Object.fromEntries(tags.map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])),
    ...(tags.length > 0 && { 'aws:TagKeys': tags.map(({ Key }) => Key) }),
  };
  return asks.map((ask) => ({
    ...ask,
    action: ask.action ?? action,
    conditions: { ...ask.conditions, ...requested },
  }));
}

/** One that is at another point by now stays as it is. */
export async function changeRun(
  { services, scope, policy, schedule, target }: RunContext,
  known: Run,
  change: (found: Run) => Run,
): Promise<void> {
  await services.store.change<PolicyRecord>(policyKey(scope, policy.id), (found) => {
    const course = found?.courses[schedule.name];
    const run = course?.runs[target];
    if (!found || !course || !run || !isSamePoint(run, known)) return found;
    const runs = { ...course.runs, [target]: change(run) };
    return { ...found, courses: { ...found.courses, [schedule.name]: { ...course, runs } } };
  });
}

const isSamePoint = (a: Run, b: Run) =>
  a.mark === b.mark &&
  a.attempt === b.attempt &&
  a.phase === b.phase &&
  a.refusal === b.refusal &&
  a.end === undefined;
