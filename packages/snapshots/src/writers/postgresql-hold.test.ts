/** The way to the locks, on a server that is a script: which statements are sent, and what becomes of each failure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { PostgresHold, REDO_BYTES_MAX, type HoldOptions, type Row, type Sql } from './postgresql-hold.ts';

const OPTIONS = { timeout: 10_000 };

/** Answers by the first pattern that the statement matches; nothing otherwise. */
class Script implements Sql {
  readonly sent: string[] = [];
  readonly #answers: readonly (readonly [RegExp, () => readonly Row[]])[];

  constructor(answers: readonly (readonly [RegExp, () => readonly Row[]])[] = []) {
    this.#answers = answers;
  }

  query(text: string): Promise<readonly Row[]> {
    this.sent.push(text);
    const answer = this.#answers.find(([pattern]) => pattern.test(text));
    return Promise.resolve().then(() => answer?.[1]() ?? []);
  }

  /** The locks, in their order, and what ended them. */
  get locks(): string[] {
    return this.sent.filter((text) => /^(LOCK|ROLLBACK)/.test(text));
  }
}

const CATALOGS = [/pg_catalog'::regnamespace/, () => [{ oid: 1259, name: 'pg_class' }]] as const;
const COUNT = [/count\(\*\)/, () => [{ count: 3 }]] as const;
const TABLES = [
  /format\('%I/,
  () => [
    { oid: 1, name: 'public.a' },
    { oid: 2, name: 'public.b' },
  ],
] as const;
const at = (redoBytes: number) => [/redo_lsn/, () => [{ position: '0/10', redo_bytes: redoBytes }]] as const;

function holdOf(parts: { control?: Script; database?: Script } & Partial<HoldOptions>): PostgresHold {
  const { control = new Script([at(56)]), database = new Script([CATALOGS, COUNT, TABLES]), ...rest } = parts;
  const databases = new Map([['app', database]]);
  return new PostgresHold({
    control,
    databases,
    pids: [],
    deadlockMs: 200,
    locksMax: 100,
    clock: systemClock,
    ...rest,
  });
}

function failing(code: string, times: number): () => readonly Row[] {
  let left = times;
  return () => {
    if (left-- > 0) throw Object.assign(new Error(`SQLSTATE ${code}`), { code });
    return [];
  };
}

test(
  'catalogs are locked, then tables, then a checkpoint is made, and nothing is let go',
  OPTIONS,
  async () => {
    const control = new Script([at(56)]);
    const database = new Script([CATALOGS, COUNT, TABLES]);
    assert.deepEqual(await holdOf({ control, database }).hold({ ms: 1_000 }), {
      position: '0/10',
      redoBytes: 56,
    });
    assert.deepEqual(database.locks, [
      'LOCK TABLE ONLY pg_class IN SHARE MODE',
      'LOCK TABLE ONLY public.a, ONLY public.b IN EXCLUSIVE MODE',
    ]);
    assert.equal(control.sent.filter((text) => text === 'CHECKPOINT').length, 1);
  },
);

for (const code of ['40P01', '57014', '55P03', '42P01'])
  test(`${code}: all is let go and tried again`, OPTIONS, async () => {
    const database = new Script([CATALOGS, COUNT, TABLES, [/EXCLUSIVE/, failing(code, 1)]]);
    await holdOf({ database }).hold({ ms: 5_000 });
    assert.deepEqual(
      database.locks.map((text) => text.split(' ').at(-2)),
      ['SHARE', 'EXCLUSIVE', undefined, 'SHARE', 'EXCLUSIVE'],
    );
  });

test('any other failure is the end, and nothing stays held', OPTIONS, async () => {
  const database = new Script([CATALOGS, COUNT, TABLES, [/EXCLUSIVE/, failing('42501', 1)]]);
  await assert.rejects(holdOf({ database }).hold({ ms: 1_000 }), /42501/);
  assert.equal(database.locks.at(-1), 'ROLLBACK');
});

test('whoever keeps a table is named when the time is over', OPTIONS, async () => {
  const waits = () => [
    { database: 'app', oid: 2, pid: 77, application: 'batch', state: 'idle in transaction' },
  ];
  const control = new Script([at(56), [/pg_blocking_pids/, waits]]);
  let database: Script;
  const slow = () => {
    throw Object.assign(new Error('timeout'), { code: '57014' });
  };
  database = new Script([CATALOGS, COUNT, TABLES, [/EXCLUSIVE/, slow]]);
  await assert.rejects(holdOf({ control, database, pids: [5] }).hold({ ms: 400 }), (error: Error) => {
    assert.match(error.message, /process 77 \(batch, idle in transaction\).*app.*relation 2/);
    return true;
  });
  assert.match(
    database.locks.findLast((text) => text.includes('EXCLUSIVE')) ?? '',
    /ONLY public\.b, ONLY public\.a/,
  );
});

test('a table that a transaction made meanwhile is locked too', OPTIONS, async () => {
  let writers = 1;
  let tables = 2;
  const control = new Script([
    at(56),
    [
      /backend_xid/,
      () => {
        if (writers-- <= 0) return [];
        tables = 3;
        return [{ pid: 7, application: 'x', state: 'active' }];
      },
    ],
  ]);
  const all = [...TABLES[1](), { oid: 3, name: 'public.fresh' }];
  const database = new Script([CATALOGS, COUNT, [TABLES[0], () => all.slice(0, tables)]]);
  await holdOf({ control, database }).hold({ ms: 1_000 });
  assert.match(database.locks.at(-1) ?? '', /public\.fresh/);
});

test('a prepared transaction is waited for, and named', OPTIONS, async () => {
  const control = new Script([
    at(56),
    [/backend_xid/, () => [{ pid: 0, application: 'gid', state: 'prepared' }]],
  ]);
  await assert.rejects(holdOf({ control }).hold({ ms: 300 }), /a prepared transaction/);
});

test('more tables than there is room for are refused before anything is locked', OPTIONS, async () => {
  const database = new Script([CATALOGS, [COUNT[0], () => [{ count: 51 }]], TABLES]);
  await assert.rejects(holdOf({ database }).hold({ ms: 1_000 }), /max_locks_per_transaction/);
  assert.deepEqual(database.locks, ['ROLLBACK']);
});

test('WAL that does not end is no level: the hold is refused', OPTIONS, async () => {
  const control = new Script([at(REDO_BYTES_MAX + 1)]);
  await assert.rejects(holdOf({ control }).hold({ ms: 1_000 }), /writes WAL although/);
});
