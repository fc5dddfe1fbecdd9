/**
 * A client outside of everything that is killed. It writes entries over several connections and remembers of each whether
 * it was acknowledged; afterwards each acknowledged entry must be there exactly once and whole, and each whose outcome is
 * unknown (the connection broke before the answer) once or not at all. An entry is two rows in one transaction, so that a
 * transaction that came back in part is seen as well.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Client, type ClientConfig } from 'pg';
import { systemClock } from '@rokka/kernel';

/** A server that recovers has better to do than to refuse. */
const RECONNECT_MS = 200;
const STATEMENT_MS = 120_000;

type Outcome = 'acknowledged' | 'unknown' | 'absent';

interface Entry {
  readonly id: number;
  readonly rows: number;
  readonly halves: number;
  readonly least: string;
  readonly most: string;
}

const ENTRIES = `select id, count(*)::int as rows, count(distinct half)::int as halves,
  min(body) as least, max(body) as most from ledger where id > $1 group by id`;

export class Ledger implements AsyncDisposable {
  readonly #connect: () => ClientConfig;
  readonly #outcomes = new Map<number, Outcome>();
  /** Errors by their code: for reports, and for tests that expect one. */
  readonly errors = new Map<string, number>();
  #nextId = 1;
  #acknowledged = 0;
  #unknown = 0;
  #verifiedThrough = 0;
  /** How many of the verified entries are there. */
  #thereBefore = 0;
  #workers: Promise<void>[] = [];
  #running = false;
  #bodyBytes = 64;

  constructor(connect: () => ClientConfig) {
    this.#connect = connect;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get unknown(): number {
    return this.#unknown;
  }

  async create(): Promise<void> {
    // No unique index: a row that came twice has to be seen, not refused.
    await this.#withClient((client) =>
      client.query(`create table ledger (id int not null, half int not null, body text not null);
        create index on ledger (id); create index on ledger (body)`),
    );
  }

  start(options: { connections: number; bodyBytes?: number }): void {
    this.#running = true;
    this.#bodyBytes = options.bodyBytes ?? 64;
    this.#workers = Array.from({ length: options.connections }, (_, worker) => this.#work(worker));
  }

  /** Ends after the statements that are under way. */
  async pause(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
    this.#workers = [];
  }

  /** Waits until `count` more entries are acknowledged, counted from now. */
  async progress(count: number, timeoutMs = 180_000): Promise<void> {
    const wanted = this.#acknowledged + count;
    const untilMs = systemClock.nowMs() + timeoutMs;
    while (this.#acknowledged < wanted) {
      if (systemClock.nowMs() > untilMs) {
        const errors = JSON.stringify([...this.errors]);
        throw new Error(`${wanted - this.#acknowledged} of ${count} commits did not come; errors ${errors}`);
      }
      await systemClock.sleep(10);
    }
  }

  /**
   * Compares the table with what was acknowledged: entry by entry those written since the last time, of the earlier ones that
   * there are as many as there were. What was unknown is known from then on. Pause before.
   */
  async verify(): Promise<{ acknowledged: number; unknownThere: number }> {
    const before = this.#verifiedThrough;
    const [earlier, rows] = await this.#withClient(async (client) => {
      const count = 'select count(*)::int as rows from ledger where id <= $1';
      const { rows: counted } = await client.query<{ rows: number }>(count, [before]);
      const { rows: entries } = await client.query<Entry>(ENTRIES, [before]);
      return [counted[0]?.rows, entries] as const;
    });
    assert.equal(earlier, 2 * this.#thereBefore, `rows of the entries up to ${before}`);
    const there = new Set<number>();
    let unknownThere = 0;
    for (const { id, rows: count, halves, least, most } of rows) {
      const outcome = this.#outcomes.get(id);
      assert.ok(outcome, `entry ${id} was never written`);
      assert.notEqual(outcome, 'absent', `entry ${id} was not there before`);
      assert.deepEqual({ id, count, halves }, { id, count: 2, halves: 2 }, `entry ${id} is not whole`);
      assert.ok(least === most && least.startsWith(bodyOf(id, 64)), `entry ${id} has another content`);
      there.add(id);
      if (outcome === 'unknown') unknownThere++;
    }
    const lost: number[] = [];
    for (let id = before + 1; id < this.#nextId; id++) {
      if (!there.has(id) && this.#outcomes.get(id) === 'acknowledged') lost.push(id);
    }
    assert.deepEqual(lost.slice(0, 20), [], `${lost.length} acknowledged entries are lost`);
    for (let id = before + 1; id < this.#nextId; id++)
      this.#outcomes.set(id, there.has(id) ? 'acknowledged' : 'absent');
    this.#verifiedThrough = this.#nextId - 1;
    this.#thereBefore += there.size;
    return { acknowledged: this.#acknowledged, unknownThere };
  }

  /** Every entry once more, also those that were verified before. */
  async verifyAll(): Promise<{ acknowledged: number; unknownThere: number }> {
    this.#verifiedThrough = 0;
    this.#thereBefore = 0;
    return this.verify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause();
  }

  async #work(worker: number): Promise<void> {
    while (this.#running) {
      try {
        await this.#withClient(async (client) => {
          while (this.#running) await this.#write(client, worker);
        });
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const name = code ?? message;
        this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
        await systemClock.sleep(RECONNECT_MS);
      }
    }
  }

  /** Half of the workers send a transaction in one statement, the other half in four. */
  async #write(client: Client, worker: number): Promise<void> {
    const id = this.#nextId++;
    const body = bodyOf(id, this.#bodyBytes);
    this.#outcomes.set(id, 'unknown');
    this.#unknown++;
    if (worker % 2 === 0) {
      await client.query('insert into ledger values ($1, 1, $2), ($1, 2, $2)', [id, body]);
    } else {
      await client.query('begin');
      await client.query('insert into ledger values ($1, 1, $2)', [id, body]);
      await client.query('insert into ledger values ($1, 2, $2)', [id, body]);
      await client.query('commit');
    }
    this.#outcomes.set(id, 'acknowledged');
    this.#acknowledged++;
    this.#unknown--;
  }

  async #withClient<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ ...this.#connect(), query_timeout: STATEMENT_MS });
    // A connection that breaks also fails the query on it, which is where it is dealt with.
    client.on('error', () => {});
    try {
      await client.connect();
      return await run(client);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

/** Unlike its neighbours, so that the index on it is written all over, and of hashes, so that PostgreSQL does not compress it. */
function bodyOf(id: number, sizeBytes: number): string {
  let body = '';
  for (let part = String(id); body.length < sizeBytes; body += part)
    part = createHash('sha256').update(part).digest('hex');
  return body;
}
