/** Looking events up: newest first, in pages that go on where the last one ended, whatever is written meanwhile. */
import type { DatabaseSync } from 'node:sqlite';

export type TrailAttribute =
  | 'AccessKeyId'
  | 'EventId'
  | 'EventName'
  | 'EventSource'
  | 'ReadOnly'
  | 'ResourceName'
  | 'Username';

/** Where a page ended. */
export interface TrailPlace {
  readonly atMs: number;
  readonly sequence: number;
}

export interface TrailQuery {
  readonly attribute?: { readonly key: TrailAttribute; readonly value: string } | undefined;
  /** Both inclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly after?: TrailPlace | undefined;
  readonly countMax: number;
}

export interface FoundEvent {
  readonly atMs: number;
  readonly eventId: string;
  readonly eventName: string;
  readonly eventSource: string;
  readonly username: string | null;
  readonly accessKeyId: string | null;
  readonly readOnly: string;
  readonly event: string;
  readonly resources: readonly string[];
}

export interface FoundEvents {
  readonly events: readonly FoundEvent[];
  /** Where the next page begins; undefined where there is none. */
  readonly next: TrailPlace | undefined;
}

/** Where an attribute stands; each has an index in the order of the answer. */
const PLACES: Record<TrailAttribute, { table: 'events' | 'resources'; column: string }> = {
  AccessKeyId: { table: 'events', column: 'access_key_id' },
  EventId: { table: 'events', column: 'event_id' },
  EventName: { table: 'events', column: 'event_name' },
  EventSource: { table: 'events', column: 'event_source' },
  ReadOnly: { table: 'events', column: 'read_only' },
  ResourceName: { table: 'resources', column: 'name' },
  Username: { table: 'events', column: 'username' },
};

type Row = Omit<FoundEvent, 'resources'> & { sequence: number };

/** Parameters: the first and the last time, where the last page ended (time, sequence), the attribute's value, the count. */
export function lookUpSql(attribute: TrailAttribute | undefined): string {
  const { table, column } = attribute ? PLACES[attribute] : { table: 'events', column: undefined };
  return `
    SELECT events.sequence, events.at_ms AS atMs, event_id AS eventId, event_name AS eventName,
      event_source AS eventSource, username, access_key_id AS accessKeyId, read_only AS readOnly, event
    FROM ${table === 'events' ? 'events' : 'resources CROSS JOIN events ON events.sequence = resources.sequence'}
    WHERE ${table}.at_ms BETWEEN ? AND ? AND (${table}.at_ms, ${table}.sequence) < (?, ?)
      ${column === undefined ? '' : `AND ${table}.${column} = ?`}
    ORDER BY ${table}.at_ms DESC, ${table}.sequence DESC LIMIT ?`;
}

export function lookUp(database: DatabaseSync, query: TrailQuery): FoundEvents {
  const { attribute, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, after, countMax } = query;
  const start = after ?? { atMs: Number.MAX_SAFE_INTEGER, sequence: 0 };
  const value = attribute ? [attribute.value] : [];
  const rows = database
    .prepare(lookUpSql(attribute?.key))
    .all(fromMs, toMs, start.atMs, start.sequence, ...value, countMax + 1) as unknown as Row[];
  const page = rows.slice(0, countMax);
  const last = page.at(-1);
  const names = database.prepare('SELECT name FROM resources WHERE sequence = ? ORDER BY name');
  return {
    events: page.map((row) => ({
      ...row,
      resources: (names.all(row.sequence) as { name: string }[]).map(({ name }) => name),
    })),
    next: rows.length > countMax && last ? { atMs: last.atMs, sequence: last.sequence } : undefined,
  };
}
