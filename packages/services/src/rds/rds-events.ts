/**
 * What has happened, for DescribeEvents: the last EVENTS_MAX of an account and region. An event is written after what it
 * tells; one may be missing where the process ended in between, and none tells what did not happen.
 */
import type { Clock } from '@rokka/kernel';
import type { Scope } from '../scope.ts';
import { rdsArn, type ResourceKind } from './rds-arns.ts';
import { type EventRecord, type EventSource, recordKeys } from './rds-records.ts';
import type { RecordStore } from '../record-store.ts';

const EVENTS_MAX = 500;
/** As in RDS. */
export const EVENT_DAYS = 14;
const DAY_MS = 86_400_000;

const KINDS: Record<EventSource, ResourceKind> = {
  'db-cluster': 'cluster',
  'db-instance': 'db',
  'db-cluster-snapshot': 'cluster-snapshot',
};

export type Told = readonly [message: string, ...categories: string[]];

export async function tell(
  of: { store: RecordStore; clock: Clock; scope: Scope },
  source: readonly [EventSource, id: string],
  [message, ...categories]: Told,
): Promise<void> {
  const { store, clock, scope } = of;
  const [sourceType, sourceId] = source;
  const arn = rdsArn(scope, KINDS[sourceType], sourceId);
  const nowMs = clock.wallMs();
  await store.change<EventRecord[]>(recordKeys.events(scope), (found = []) => {
    const number = (found.at(-1)?.number ?? 0) + 1;
    const event = { number, sourceType, sourceId, arn, message, categories, atMs: nowMs };
    return [...found, event].filter(({ atMs }) => atMs > nowMs - EVENT_DAYS * DAY_MS).slice(-EVENTS_MAX);
  });
}

/** The oldest first. */
export async function listEvents(of: { store: RecordStore; scope: Scope }): Promise<EventRecord[]> {
  return (await of.store.get<EventRecord[]>(recordKeys.events(of.scope))) ?? [];
}
