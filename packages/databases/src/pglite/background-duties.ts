/**
 * What PostgreSQL's background processes would do, if the embedded engine had any: checkpoints, so that the log does not
 * grow for ever and recovery stays short; vacuum and analyze, so that tables do not swell and plans stay right; freezing
 * before transaction numbers run out.
 *
 * Bounded: one thing at a time, in front of whoever waits next, never inside somebody's transaction; a table is vacuumed
 * only while nobody works, and a large one only where its transaction numbers demand it.
 */
import { describeError, type Clock } from '@rokka/kernel';
import type { Row } from './backend-sql.ts';
import { sqlName } from './backend-sql.ts';

export interface DutyOptions {
  readonly tickMs?: number;
  readonly checkpointWalBytes?: number;
  readonly checkpointMs?: number;
  readonly vacuumMs?: number;
  /** How long nobody must have worked before a table is vacuumed. */
  readonly idleMs?: number;
}

/** The turns, as far as the duties need them. */
export interface DutyBackend {
  readonly idleMs: number;
  readonly batches: number;
  internal(sql: string): Promise<Row[]>;
}

const WAL_POSITION = `select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::text`;
/** Autovacuum's own defaults: scale factors 0.2 and 0.1 over a base of 50 rows. Freezing starts where it would, too. */
const NEXT_TABLE = `
  select * from (
    select n.nspname, c.relname,
      age(c.relfrozenxid) > 150000000 as to_freeze,
      c.relpages < 65536 and (s.n_dead_tup > 50 + 0.2 * greatest(c.reltuples, 0)
        or s.n_ins_since_vacuum > 1000 + 0.2 * greatest(c.reltuples, 0)) as to_vacuum,
      s.n_mod_since_analyze > 50 + 0.1 * greatest(c.reltuples, 0) as to_analyze,
      age(c.relfrozenxid) as age, s.n_dead_tup as dead
    from pg_catalog.pg_stat_all_tables s
    join pg_catalog.pg_class c on c.oid = s.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'
  ) as t where to_freeze or to_vacuum or to_analyze
  order by to_freeze desc, dead desc, age desc limit 1`;

export class BackgroundDuties implements Disposable {
  readonly #backend: DutyBackend;
  readonly #clock: Clock;
  readonly #options: Required<DutyOptions>;
  readonly #onLog: (line: string) => void;
  #cancel: () => void;
  #stopped = false;
  #walPosition: number | undefined;
  #checkpointAtMs: number;
  #vacuumAtMs: number;
  #batchesSeen = 0;
  #batchesVacuumed = 0;

  constructor(backend: DutyBackend, options: DutyOptions & { clock: Clock; onLog?: (line: string) => void }) {
    this.#backend = backend;
    this.#clock = options.clock;
    this.#onLog = options.onLog ?? (() => {});
    this.#options = {
      tickMs: options.tickMs ?? 5000,
      checkpointWalBytes: options.checkpointWalBytes ?? 32 * 1024 * 1024,
      checkpointMs: options.checkpointMs ?? 300_000,
      vacuumMs: options.vacuumMs ?? 60_000,
      idleMs: options.idleMs ?? 1000,
    };
    this.#checkpointAtMs = this.#clock.nowMs();
    this.#vacuumAtMs = this.#clock.nowMs();
    this.#cancel = this.#nextTick();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#cancel();
  }

  #nextTick(): () => void {
    return this.#clock.after(this.#options.tickMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    try {
      await this.#checkpoint();
      await this.#vacuum();
    } catch (error) {
      // The engine was restarted, or is closing: the next tick tries again.
      this.#onLog(`background duty: ${describeError(error)}`);
    }
    if (!this.#stopped) this.#cancel = this.#nextTick();
  }

  async #checkpoint(): Promise<void> {
    if (this.#backend.batches === this.#batchesSeen) return;
    this.#batchesSeen = this.#backend.batches;
    const position = await this.#readWalPosition();
    this.#walPosition ??= position;
    const written = position - this.#walPosition;
    const dueByTime = this.#clock.nowMs() - this.#checkpointAtMs >= this.#options.checkpointMs;
    if (written < this.#options.checkpointWalBytes && !(dueByTime && written > 0)) return;
    await this.#backend.internal('checkpoint');
    this.#checkpointAtMs = this.#clock.nowMs();
    this.#walPosition = await this.#readWalPosition();
  }

  async #readWalPosition(): Promise<number> {
    const [row] = await this.#backend.internal(WAL_POSITION);
    return Number(row[0]);
  }

  async #vacuum(): Promise<void> {
    const due = this.#clock.nowMs() - this.#vacuumAtMs >= this.#options.vacuumMs;
    if (!due || this.#backend.batches === this.#batchesVacuumed) return;
    if (this.#backend.idleMs < this.#options.idleMs) return;
    const [table] = await this.#backend.internal(NEXT_TABLE);
    // Nothing to do until somebody works again.
    if (!table) {
      this.#batchesVacuumed = this.#backend.batches;
      this.#vacuumAtMs = this.#clock.nowMs();
      return;
    }
    const [schema, name, freeze, vacuum] = table;
    const target = `${sqlName(schema ?? '')}.${sqlName(name ?? '')}`;
    if (freeze === 't') await this.#backend.internal(`vacuum (freeze, analyze) ${target}`);
    else if (vacuum === 't') await this.#backend.internal(`vacuum (analyze) ${target}`);
    else await this.#backend.internal(`analyze ${target}`);
  }
}
