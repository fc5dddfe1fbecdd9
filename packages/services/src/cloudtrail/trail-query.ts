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

const CONDITIONS: Record<TrailAttribute, string> = {
  AccessKeyId: 'access_key_id = ?',
  EventId: 'event_id = ?',
  EventName: 'event_name = ?',
  EventSource: 'event_source = ?',
  ReadOnly: 'read_only = ?',
  ResourceName: 'sequence IN (SELECT sequence FROM resources WHERE name = ?)',
  Username: 'username = ?',
};

type Row = Omit<FoundEvent, 'resources'> & { sequence: number };

export function lookUp(database: DatabaseSync, query: TrailQuery): FoundEvents {
  const { attribute, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, after, countMax } = query;
  const start = after ?? { atMs: Number.MAX_SAFE_INTEGER, sequence: 0 };
  const rows = database
    .prepare(
      `SELECT sequence, at_ms AS atMs, event_id AS eventId, event_name AS eventName, event_source AS eventSource,
         username, access_key_id AS accessKeyId, read_only AS readOnly, event
       FROM events
       WHERE at_ms BETWEEN ? AND ? AND (at_ms, sequence) < (?, ?) ${attribute ? `AND ${CONDITIONS[attribute.key]}` : ''}
       ORDER BY at_ms DESC, sequence DESC LIMIT ?`,
    )
    .all(
      fromMs,
      toMs,
      start.atMs,
      start.sequence,
      ...(attribute ? [attribute.value] : []),
      countMax + 1,
    ) as unknown as Row[];
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
