/**
 * The audit trail: every call, kept in order, until it is too old or too many have come after it.
 *
 * Group commit: all that arrived in a turn of the event loop is one transaction and one sync, and nobody is told that a
 * call was written down before that sync. What cannot be written is reported to whoever wanted it written.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Audit, AuditRecord, UsedSignature } from '@rokka/gateway';
import { type Clock, Deferred, type Random } from '@rokka/kernel';
import { servicesErrors } from '../errors.ts';
import { type TrailEvent, trailEvent } from './trail-event.ts';
import { openTrailFile } from './trail-file.ts';
import { type FoundEvents, lookUp, type TrailQuery } from './trail-query.ts';

const DAY_MS = 86_400_000;
/**
 * Events looked at for pruning with each commit, or twice as many as have come with it: the trail shrinks when it must. Each look
 * costs, and a commit is often of one call.
 */
const PRUNED_MIN = 32;

export interface TrailOptions {
  path: string;
  clock: Clock;
  random: Random;
  /** Twelve digits. */
  account: string;
  /** Default 1,000,000. */
  countMax?: number;
  /** Default 90 days, as CloudTrail's event history. */
  ageMsMax?: number;
  /** How many calls may wait for a sync; default 10,000. */
  waitingMax?: number;
}

interface Waiting {
  record: AuditRecord;
  event: TrailEvent;
  written: Deferred<void>;
}

/** @throws AUDIT_FOREIGN, AUDIT_VERSION, AUDIT_FAILED */
export function openTrail(options: TrailOptions): Trail {
  return new Trail(options, openTrailFile(options.path));
}

export class Trail implements Audit, AsyncDisposable {
  readonly #options: Required<TrailOptions>;
  readonly #database: DatabaseSync;
  readonly #insertEvent: StatementSync;
  readonly #insertResource: StatementSync;
  readonly #newest: StatementSync;
  readonly #dead: StatementSync;
  readonly #deleteEvent: StatementSync;
  readonly #deleteResources: StatementSync;
  readonly #insertSignature: StatementSync;
  readonly #goodSignatures: StatementSync;
  readonly #deleteSignatures: StatementSync;
  #waiting: Waiting[] = [];
  #closed = false;

  constructor(options: TrailOptions, database: DatabaseSync) {
    this.#options = { countMax: 1_000_000, ageMsMax: 90 * DAY_MS, waitingMax: 10_000, ...options };
    this.#database = database;
    this.#insertEvent = database.prepare(
      `INSERT INTO events (at_ms, event_id, event_name, event_source, username, access_key_id, read_only, event)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertResource = database.prepare('INSERT INTO resources (name, at_ms, sequence) VALUES (?, ?, ?)');
    this.#newest = database.prepare('SELECT max(sequence) AS newest FROM events');
    this.#dead = database.prepare(
      `SELECT sequence FROM (SELECT sequence, at_ms FROM events ORDER BY sequence LIMIT ?)
       WHERE sequence <= ? OR at_ms < ?`,
    );
    this.#deleteEvent = database.prepare('DELETE FROM events WHERE sequence = ?');
    this.#deleteResources = database.prepare('DELETE FROM resources WHERE sequence = ?');
    this.#insertSignature = database.prepare(
      `INSERT INTO signatures (key, first_ms, good_until_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING`,
    );
    this.#goodSignatures = database.prepare(
      `SELECT key, first_ms AS firstMs, good_until_ms AS goodUntilMs FROM signatures WHERE good_until_ms >= ?`,
    );
    this.#deleteSignatures = database.prepare(
      `DELETE FROM signatures WHERE key IN (SELECT key FROM signatures WHERE good_until_ms < ? LIMIT ?)`,
    );
  }

  /** @throws AUDIT_BUSY, AUDIT_CLOSED, AUDIT_FAILED */
  async record(record: AuditRecord): Promise<void> {
    const { clock, waitingMax, path, account, random } = this.#options;
    if (this.#closed) throw servicesErrors.AUDIT_CLOSED([path]);
    if (this.#waiting.length >= waitingMax) throw servicesErrors.AUDIT_BUSY([this.#waiting.length]);
    // Here, and not among the others: what cannot be written as JSON must fail for this call alone.
    const event = trailEvent(record, { account, eventId: uuid(random) });
    const written = new Deferred<void>();
    this.#waiting.push({ record, event, written });
    if (this.#waiting.length === 1) clock.soon(() => this.#flush());
    return written.promise;
  }

  usedSignatures(nowMs: number): UsedSignature[] {
    const rows = this.#goodSignatures.all(Math.floor(nowMs)) as unknown as UsedSignature[];
    return rows.map(({ key, firstMs, goodUntilMs }) => ({ key, firstMs, goodUntilMs }));
  }

  /** Newest first. @throws AUDIT_CLOSED */
  lookUp(query: TrailQuery): FoundEvents {
    if (this.#closed) throw servicesErrors.AUDIT_CLOSED([this.#options.path]);
    return lookUp(this.#database, query);
  }

  /** What waits is written first. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#database.close();
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) return;
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const each of waiting) this.#insert(each);
      this.#prune(Math.max(PRUNED_MIN, 2 * waiting.length));
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      const failed = servicesErrors.AUDIT_FAILED([this.#options.path, String(error)], { cause: error });
      for (const { written } of waiting) written.reject(failed);
      return;
    }
    for (const { written } of waiting) written.resolve();
  }

  #insert({ record, event }: Waiting): void {
    const atMs = Math.floor(record.atMs);
    const { lastInsertRowid } = this.#insertEvent.run(
      atMs,
      event.eventId,
      record.eventName,
      record.eventSource,
      event.username ?? null,
      record.accessKeyId ?? null,
      String(record.readOnly),
      event.text,
    );
    for (const name of event.resources) this.#insertResource.run(name, atMs, lastInsertRowid);
    const { used } = record;
    if (used) this.#insertSignature.run(used.key, Math.floor(used.firstMs), Math.ceil(used.goodUntilMs));
  }

  /** The oldest ones by sequence, and signatures that are over: at most `max` of each. */
  #prune(max: number): void {
    const { clock, countMax, ageMsMax } = this.#options;
    this.#deleteSignatures.run(Math.floor(clock.wallMs()), max);
    const { newest } = this.#newest.get() as { newest: number };
    const dead = this.#dead.all(max, newest - countMax, Math.floor(clock.wallMs() - ageMsMax));
    for (const { sequence } of dead as { sequence: number }[]) {
      this.#deleteResources.run(sequence);
      this.#deleteEvent.run(sequence);
    }
  }
}

/** Version 4 (RFC 9562, section 5.4). */
function uuid(random: Random): string {
  const hex = random.hex(16);
  const variant = '89ab'[random.below(4)];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
