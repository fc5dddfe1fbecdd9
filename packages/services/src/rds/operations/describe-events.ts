import type { DescribeEventsCommand } from '@aws-sdk/client-rds';
import type { InputOf, Operation } from '@rokka/gateway';
import type { RdsServices } from '../rds-context.ts';
import { EVENT_DAYS, listEvents } from '../rds-events.ts';
import { rdsFailures } from '../rds-failures.ts';
import { demandBuilt } from '../rds-inputs.ts';
import { pageOf } from '../rds-lists.ts';
import { scopeOf } from '../rds-names.ts';

const MINUTE_MS = 60_000;
const DURATION_MINUTES = 60;
const DURATION_MINUTES_MAX = EVENT_DAYS * 24 * 60;
const SOURCE_TYPES: readonly string[] = [
  'db-instance',
  'db-parameter-group',
  'db-security-group',
  'db-snapshot',
  'db-cluster',
  'db-cluster-snapshot',
  'custom-engine-version',
  'db-proxy',
  'blue-green-deployment',
  'db-shard-group',
  'zero-etl',
];

/** The oldest first; of the last hour unless another time is asked for. @throws InvalidParameterValue, InvalidParameterCombination */
export const describeEvents = (services: RdsServices): Operation<typeof DescribeEventsCommand> => ({
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'SourceIdentifier',
      'SourceType',
      'StartTime',
      'EndTime',
      'Duration',
      'EventCategories',
      'MaxRecords',
      'Marker',
    ]);
    const { SourceIdentifier, SourceType, EventCategories: wanted = [] } = input;
    if (SourceType !== undefined && !SOURCE_TYPES.includes(SourceType))
      throw rdsFailures.parameter(`Invalid source type: ${(SourceType as string).slice(0, 64)}`);
    if (SourceIdentifier !== undefined && SourceType === undefined)
      throw rdsFailures.combination('SourceType must be given with SourceIdentifier.');
    const [fromMs, toMs] = timesOf(input, services.clock.wallMs());
    const found = (await listEvents({ ...services, scope })).filter(
      (event) =>
        event.atMs >= fromMs &&
        event.atMs <= toMs &&
        (SourceType === undefined || event.sourceType === SourceType) &&
        (SourceIdentifier === undefined || event.sourceId === SourceIdentifier.toLowerCase()) &&
        (wanted.length === 0 || event.categories.some((category) => wanted.includes(category))),
    );
    const { items, Marker } = pageOf(services, {
      items: found,
      keyOf: ({ number }) => String(number).padStart(16, '0'),
      input,
      scope,
      asked: ['events', SourceIdentifier, SourceType, wanted],
    });
    const Events = items.map(({ sourceType, sourceId, arn, message, categories, atMs }) => ({
      SourceIdentifier: sourceId,
      SourceType: sourceType,
      SourceArn: arn,
      Message: message,
      EventCategories: [...categories],
      Date: new Date(atMs),
    }));
    return { Events, ...(Marker !== undefined && { Marker }) };
  },
});

function timesOf(
  { StartTime, EndTime, Duration }: InputOf<typeof DescribeEventsCommand>,
  nowMs: number,
): [fromMs: number, toMs: number] {
  const minutes = Duration ?? DURATION_MINUTES;
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > DURATION_MINUTES_MAX)
    throw rdsFailures.parameter(`Invalid Duration ${minutes}: it is 1 to ${DURATION_MINUTES_MAX} minutes.`);
  const toMs = EndTime?.getTime() ?? nowMs;
  const fromMs = StartTime?.getTime() ?? toMs - minutes * MINUTE_MS;
  if (fromMs > toMs) throw rdsFailures.combination('StartTime is after EndTime.');
  return [fromMs, toMs];
}
