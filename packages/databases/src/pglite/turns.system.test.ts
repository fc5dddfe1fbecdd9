/** Many sessions at a time, whose statements lie behind one another: what each of them does is done as if it were alone. ROKKA_SEED is another choice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import type pg from 'pg';
import { Running } from './testing/running.ts';

const timeout = 300_000;
const seed = Number(process.env['ROKKA_SEED'] ?? 1);
const SESSIONS = 20;
const WORKS = 60;
const INSERT = 'insert into rows (session, n, tx) values ($1, $2, txid_current())';

let running: Running;

before(async () => {
  running = await Running.start({ connectionsMax: 60, waitMs: 120_000, idleInTransactionMs: 10_000 });
  await running.database.query(
    'create table rows (session int, n int, tx bigint, primary key (session, n)); create table copied (session int, n int)',
  );
});

after(async () => {
  await running[Symbol.asyncDispose]();
});

/** What a session did, and what it knows of it. */
class Work {
  readonly #client: pg.Client;
  readonly #id: number;
  readonly #random: SeededRandom;
  /** Committed, as it was told. */
  readonly acknowledged = new Set<number>();
  #next = 0;

  constructor(client: pg.Client, id: number) {
    this.#client = client;
    this.#id = id;
    this.#random = new SeededRandom(seed * 1000 + id);
  }

  async run(): Promise<void> {
    await this.#set();
    const kinds = [
      () => this.#insert(),
      () => this.#insert(),
      () => this.#insert(),
      () => this.#named(),
      () => this.#transaction(),
      () => this.#wrong(),
      () => this.#setting(),
      () => this.#rollback(),
      () => this.#temporary(),
    ];
    for (let work = 0; work < WORKS; work++) await kinds[this.#random.below(kinds.length)]();
  }

  async #insert(): Promise<void> {
    const n = this.#next++;
    if (this.#random.below(2) === 0) await this.#client.query(INSERT, [this.#id, n]);
    else
      await this.#client.query(
        `insert into rows (session, n, tx) values (${this.#id}, ${n}, txid_current())`,
      );
    this.acknowledged.add(n);
  }

  async #named(): Promise<void> {
    const n = this.#next++;
    // The same name as that of all others, for another statement.
    const text = `${INSERT} returning ${this.#id} as of, n`;
    const { rows } = await this.#client.query({ name: 'one', text, values: [this.#id, n] });
    assert.deepEqual(rows, [{ of: this.#id, n }]);
    this.acknowledged.add(n);
  }

  async #transaction(): Promise<void> {
    const several = Array.from({ length: 1 + this.#random.below(3) }, () => this.#next++);
    await this.#client.query('begin');
    for (const n of several) await this.#client.query(INSERT, [this.#id, n]);
    await this.#client.query('commit');
    for (const n of several) this.acknowledged.add(n);
  }

  async #rollback(): Promise<void> {
    await this.#client.query('begin');
    await this.#client.query(INSERT, [this.#id, this.#next++]);
    // A COMMIT that is not even bound: whoever waits for its end must not come into this transaction.
    const commit = this.#client.query({ name: 'end', text: 'commit', values: ['one too many'] });
    await assert.rejects(commit, { code: '08P01' });
    await this.#client.query('rollback');
  }

  async #wrong(): Promise<void> {
    const [known] = this.acknowledged;
    if (known === undefined) return;
    await assert.rejects(this.#client.query(INSERT, [this.#id, known]), { code: '23505' });
  }

  /** Those with the same settings lie behind one another. */
  get #session(): string {
    return this.#id % 5 === 0 ? String(this.#id) : '';
  }

  async #set(): Promise<void> {
    if (this.#session !== '') await this.#client.query(`set rokka_test.session = '${this.#session}'`);
  }

  async #setting(): Promise<void> {
    const shown = `select coalesce(current_setting('rokka_test.session', true), '') as session`;
    assert.deepEqual((await this.#client.query(shown)).rows, [{ session: this.#session }]);
  }

  async #temporary(): Promise<void> {
    if (this.#random.below(4) > 0) return;
    await this.#client.query('create temp table own (n int)');
    await this.#client.query('insert into own values ($1)', [this.#id]);
    assert.deepEqual((await this.#client.query('select n from own')).rows, [{ n: this.#id }]);
    await this.#client.query('discard all');
    // The driver does not know that its statements went with that.
    withInside(this.#client).connection.parsedStatements = {};
    await this.#set();
  }
}

test('each session finds what it was told, and no transaction has rows of two', { timeout }, async () => {
  const clients = await Promise.all(Array.from({ length: SESSIONS }, () => running.client()));
  const works = clients.map((client, id) => new Work(client, id));
  await Promise.all(works.map((work) => work.run()));
  const { rows } = await running.database.query<{ session: number; n: number }>(
    'select session, n from rows order by session, n',
  );
  const told = works.flatMap(({ acknowledged }, session) =>
    [...acknowledged].sort((a, b) => a - b).map((n) => ({ session, n })),
  );
  assert.deepEqual(rows, told);
  const mixed = await running.database.query(
    'select tx from rows group by tx having count(distinct session) > 1',
  );
  assert.deepEqual(mixed.rows, []);
});

test('whoever goes while others lie behind him takes nobody with him', { timeout }, async () => {
  const inserted = new Set<number>();
  const clients = await Promise.all(Array.from({ length: 12 }, () => running.client()));
  const work = async (client: pg.Client, id: number) => {
    for (let n = 0; n < 40; n++) {
      if (id % 4 === 0 && n === 20) return destroy(client);
      await client.query('insert into copied values ($1, $2)', [id, n]);
      inserted.add(id * 100 + n);
    }
  };
  await Promise.all(clients.map(work));
  const { rows } = await running.database.query<{ at: number }>('select session * 100 + n as at from copied');
  const found = new Set(rows.map(({ at }) => at));
  assert.deepEqual(inserted.difference(found), new Set());
  // One of each that went may have been done without his knowing.
  assert.ok(found.size - inserted.size <= 3, `${found.size} of ${inserted.size}`);
});

/** In the middle of a statement. */
function destroy(client: pg.Client): void {
  client.query('insert into copied values (0, 99)').catch(() => {});
  withInside(client).connection.stream.destroy();
}

/** What the driver keeps to itself. */
function withInside(client: pg.Client) {
  return client as unknown as {
    connection: { parsedStatements: Record<string, string>; stream: { destroy(): void } };
  };
}
