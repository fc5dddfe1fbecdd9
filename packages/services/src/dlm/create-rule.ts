/** When and how the snapshots of a schedule are made, checked; and as it is shown. */
import type { CreateRule, Script } from '@aws-sdk/client-dlm';
import { dlmFailures } from './dlm-failures.ts';
import { demandBuilt, given } from './dlm-inputs.ts';
import type { PolicyDetailsRecord, ScheduleRecord, ScriptRecord } from './dlm-records.ts';
import { type CalendarRule, whyNoPattern } from '../timetable.ts';

const INTERVALS = [1, 2, 3, 4, 6, 8, 12, 24];
const TIME = /^([01][0-9]|2[0-3]):[0-5][0-9]$/;
/** AWS says that it chooses one: it is the one that its console proposes. */
const TIME_BY_DEFAULT = '09:00';
/** Between two times of a pattern. */
const GAP_MS_MIN = 3_600_000;
const RETRIES_MAX = 3;
const HANDLER = 'AWS_VSS_BACKUP';

/** @throws InvalidRequestException */
export function checkedCreateRule(
  rule: CreateRule | undefined,
  of: { resourceType: PolicyDetailsRecord['resourceType']; nowMs: number },
): Pick<ScheduleRecord, 'due' | 'script'> {
  const input = given(rule, 'Schedules.CreateRule');
  demandBuilt(input, ['CronExpression', 'Interval', 'IntervalUnit', 'Location', 'Scripts', 'Times']);
  if ((input.Location ?? 'CLOUD') !== 'CLOUD')
    throw dlmFailures.invalid('CreateRule.Location other than CLOUD is not supported here: leave it out.');
  const script = checkedScript(input.Scripts, of.resourceType);
  return { due: checkedDue(input, of.nowMs), ...(script && { script }) };
}

export function createRuleShape({ due, script }: ScheduleRecord): CreateRule {
  const { CronExpression, Interval, Times = [] } = due;
  return {
    Location: 'CLOUD',
    ...(CronExpression === undefined
      ? { Interval, IntervalUnit: 'HOURS', Times: [...Times] }
      : { CronExpression }),
    ...(script && { Scripts: [scriptShape(script)] }),
  };
}

function checkedDue(
  { CronExpression, Interval, IntervalUnit, Times }: CreateRule,
  nowMs: number,
): CalendarRule {
  const isInterval = Interval !== undefined || IntervalUnit !== undefined || Times !== undefined;
  if ((CronExpression !== undefined) === isInterval)
    throw dlmFailures.invalid('CreateRule has either CronExpression, or Interval, IntervalUnit and Times.');
  if (CronExpression !== undefined) {
    const why = whyNoPattern(CronExpression, { nowMs, gapMsMin: GAP_MS_MIN });
    if (why === undefined) return { CronExpression };
    throw dlmFailures.invalid(`CronExpression ${CronExpression.slice(0, 106)} ${why}.`);
  }
  if (!INTERVALS.includes(given(Interval, 'CreateRule.Interval')) || (IntervalUnit ?? 'HOURS') !== 'HOURS')
    throw dlmFailures.invalid(`CreateRule.Interval is one of ${INTERVALS.join(', ')}, in HOURS.`);
  const [time = TIME_BY_DEFAULT, ...others] = Times ?? [];
  if (!TIME.test(time) || others.length > 0)
    throw dlmFailures.invalid('CreateRule.Times has one time in UTC, such as 03:15.');
  return { Interval: Interval ?? 24, Times: [time] };
}

function checkedScript(
  scripts: readonly Script[] = [],
  resourceType: PolicyDetailsRecord['resourceType'],
): ScriptRecord | undefined {
  const [script, ...others] = scripts;
  if (!script) return undefined;
  if (others.length > 0) throw dlmFailures.invalid('Scripts has one script.');
  if (resourceType !== 'INSTANCE')
    throw dlmFailures.invalid('Scripts are carried out on instances: leave them out of a policy for VOLUME.');
  demandBuilt(script, [
    'ExecuteOperationOnScriptFailure',
    'ExecutionHandler',
    'ExecutionHandlerService',
    'MaximumRetryCount',
  ]);
  const { ExecutionHandler, ExecutionHandlerService: service = 'AWS_SYSTEMS_MANAGER' } = script;
  if (ExecutionHandler !== HANDLER || service !== 'AWS_SYSTEMS_MANAGER')
    throw dlmFailures.invalid(
      `The script ${String(ExecutionHandler).slice(0, 200)} of ${service} is not supported here: ExecutionHandler is ${HANDLER}.`,
    );
  const { MaximumRetryCount: retries = 0, ExecuteOperationOnScriptFailure: fallsBack = true } = script;
  if (!Number.isInteger(retries) || retries < 0 || retries > RETRIES_MAX)
    throw dlmFailures.invalid(`MaximumRetryCount of ${retries} is not valid: it is 0 to ${RETRIES_MAX}.`);
  return { fallsBack, retries };
}

const scriptShape = ({ fallsBack, retries }: ScriptRecord): Script => ({
  ExecutionHandler: HANDLER,
  ExecutionHandlerService: 'AWS_SYSTEMS_MANAGER',
  ExecuteOperationOnScriptFailure: fallsBack,
  MaximumRetryCount: retries,
});
