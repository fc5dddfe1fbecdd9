/** The writer against a real server under load; the snapshot is a copy made while no process of the server makes a step. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, before, test } from 'node:test';
import { isCoded, systemClock } from '@rokka/kernel';
import type { MountedVolume } from '../../writer.ts';
import type { PrivateServer } from '../private-server.ts';
import { connect, MariadbLoad, startMariadb } from '../testing/mariadb-fixture.ts';
import { freezeAndDie, preparedWriter, skipWithout, StoreDirectory } from '../testing/store.ts';
import { findMariadb } from './copies.ts';
import { mariadbKind } from './kind.ts';
import { startRestoredMariadb } from './restored.ts';

const SKIP = skipWithout('mysql', ['mariadbd', 'mariadb-install-db']);
const LIMITS = { skip: SKIP, timeout: 600_000 };
const TABLES = ['t.innodb', 't.myisam', 't.aria', 't.aria0', 't.csv'];
const FREEZE_ABORTED = /aborted due to timeout/;
/** InnoDB's log is written once a second only: what a freeze must wait for. */
const LAZY = '--innodb-flush-log-at-trx-commit=0';

let directory: StoreDirectory;
let server: PrivateServer;
let data: MountedVolume;
let logs: MountedVolume;
const deadline = (ms = 120_000) => AbortSignal.timeout(ms);
const placed = (at: string) => [`--innodb-log-group-home-dir=${at}`, `--log-bin=${at}/bin`];
const prepared = () => preparedWriter(mariadbKind(), [data, logs], deadline());

/** Statements of others, which are carried out or wait. */
const RUNNING =
  "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND ID <> CONNECTION_ID()";

const SLEEPING = " AND STATE = 'User sleep'";

async function untilRun(
  admin: Awaited<ReturnType<typeof connect>>,
  of: { statements: number; which?: string },
): Promise<void> {
  const signal = deadline();
  const { statements, which = '' } = of;
  while ((await admin.query(RUNNING + which, signal)).length < statements)
    await systemClock.sleep(20, signal);
}

async function statement(...statements: string[]): Promise<void> {
  await using session = await connect(server, deadline());
  for (const one of statements) await session.query(one, deadline());
}

before(async () => {
  if (SKIP) return;
  directory = new StoreDirectory('mysql');
  data = directory.volume('data');
  logs = directory.volume('logs');
  server = await startMariadb(data.mountPoint, [LAZY, ...placed(logs.mountPoint)], deadline(300_000));
  await statement(
    'CREATE DATABASE t',
    'CREATE TABLE t.innodb (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=InnoDB',
    'CREATE TABLE t.myisam (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=MyISAM',
    'CREATE TABLE t.aria (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=Aria',
    'CREATE TABLE t.aria0 (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=Aria TRANSACTIONAL=0',
    'CREATE TABLE t.csv (id INT NOT NULL, v VARCHAR(200) NOT NULL) ENGINE=CSV',
  );
});

after(async () => {
  await server?.[Symbol.asyncDispose]();
  directory?.[Symbol.dispose]();
});

test('a copy made under load has all that was acknowledged, and nothing to repair', LIMITS, async () => {
  await using load = await MariadbLoad.start(server, TABLES, deadline());
  await using open = await connect(server, deadline());
  await open.query('START TRANSACTION', deadline());
  await open.query("INSERT INTO t.innodb VALUES (-1, 'never committed')", deadline());
  await load.grows(200, deadline());

  await using writer = await prepared();
  // Nothing is held between the two.
  await load.grows(10, deadline());
  const frozen = await writer.freeze(deadline());
  const acknowledged = load.state();
  assert.equal(frozen.level, 'application');
  assert.match(frozen.position ?? '', /^0-\d+-\d+ \(bin\.\d+:\d+\)$/);
  const copies = [data, logs].map((volume) => directory.copy(server, volume));
  assert.deepEqual(load.state(), acknowledged, 'nobody wrote meanwhile');
  await writer.thaw(deadline());
  await load.grows(1, deadline());

  const volumes = { mountPoints: copies };
  const [copy] = await findMariadb({ ...volumes, signal: deadline() });
  await using restored = await startRestoredMariadb({ copy, volumes, signal: deadline() });
  assert.deepEqual(restored.faults, []);
  assert.equal(restored.prepared, 0);
  assert.ok(
    (restored.innodb?.rolledBack ?? 0) > 0,
    'the open transaction was not in the copy: no test of anything',
  );
  for (const [table, ids] of acknowledged) {
    const there = (await restored.session.query(`SELECT id FROM ${table}`, deadline())).map((row) =>
      Number(row['id']),
    );
    assert.deepEqual(
      ids.filter((id) => !new Set(there).has(id)),
      [],
      table,
    );
    assert.ok(!there.includes(-1));
  }
});

test('a file on no volume of the set is a veto', LIMITS, async () => {
  const [writer] = await mariadbKind().discover({ volumes: [data], signal: deadline() });
  await assert.rejects(
    writer.identify(deadline()),
    (error) => isCoded(error, 'SNAPSHOTS_OUTSIDE') && error.message.includes(logs.mountPoint),
  );
  const elsewhere = directory.volume('elsewhere');
  assert.deepEqual(await mariadbKind().discover({ volumes: [elsewhere], signal: deadline() }), []);
});

test('a database behind a symbolic link is found', LIMITS, async () => {
  const linked = directory.volume('linked');
  fs.symlinkSync(linked.mountPoint, `${data.mountPoint}/linked`);
  try {
    const kind = mariadbKind();
    const [without] = await kind.discover({ volumes: [data, logs], signal: deadline() });
    await assert.rejects(without.identify(deadline()), (error) => isCoded(error, 'SNAPSHOTS_OUTSIDE'));
    const [writer] = await kind.discover({ volumes: [data, logs, linked], signal: deadline() });
    const [component] = await writer.identify(deadline());
    assert.deepEqual(component.paths, [data.mountPoint, logs.mountPoint, linked.mountPoint]);
  } finally {
    fs.unlinkSync(`${data.mountPoint}/linked`);
  }
});

test('when the process that holds is killed, the application goes on', LIMITS, async () => {
  await using load = await MariadbLoad.start(server, TABLES, deadline());
  await freezeAndDie('mariadb', [data, logs]);
  await load.grows(10, deadline());
});

test(
  'when its session is killed, the application goes on and the thaw says that it was not held',
  LIMITS,
  async () => {
    await using load = await MariadbLoad.start(server, ['t.innodb'], deadline());
    await using writer = await prepared();
    await writer.freeze(deadline());
    await using admin = await connect(server, deadline());
    // Until they wait for it the sessions of the load may look as idle as the one that holds.
    await untilRun(admin, { statements: 2 });
    const [holder] = await admin.query(
      "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND ID <> CONNECTION_ID() AND DB IS NULL ORDER BY TIME_MS LIMIT 1",
      deadline(),
    );
    await admin.query(`KILL ${Number(holder['id'])}`, deadline());
    await load.grows(10, deadline());
    await assert.rejects(writer.thaw(deadline()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
  },
);

test('an abort lets go, and the next snapshot can be made', LIMITS, async () => {
  await using load = await MariadbLoad.start(server, ['t.myisam'], deadline());
  await using first = await prepared();
  await first.freeze(deadline());
  await first.abort(deadline());
  await load.grows(10, deadline());
  await using second = await prepared();
  await second.freeze(deadline());
  await second.thaw(deadline());
});

test('a table that somebody has locked is a veto, and nothing is held', LIMITS, async () => {
  await using somebody = await connect(server, deadline());
  await somebody.query('LOCK TABLES t.innodb WRITE', deadline());
  const [writer] = await mariadbKind().discover({ volumes: [data, logs], signal: deadline() });
  await writer.identify(deadline());
  await assert.rejects(writer.prepare(deadline(1000)), FREEZE_ABORTED);
  await writer.abort(deadline());
  await somebody.query('UNLOCK TABLES', deadline());
  await using again = await prepared();
  await again.freeze(deadline());
  await again.thaw(deadline());
});

test('a statement that takes too long is a veto of the freeze, and others go on', LIMITS, async () => {
  await statement("REPLACE INTO t.myisam VALUES (1, 'x')");
  await using somebody = await connect(server, deadline());
  await using writer = await prepared();
  await using admin = await connect(server, deadline());
  const slow = somebody.query('UPDATE t.myisam SET v = SLEEP(100) WHERE id = 1', deadline()).catch(() => {});
  await untilRun(admin, { statements: 1, which: SLEEPING });
  await assert.rejects(writer.freeze(deadline(1000)), FREEZE_ABORTED);
  await writer.abort(deadline());
  await using load = await MariadbLoad.start(server, ['t.aria'], deadline());
  await load.grows(10, deadline());
  const [{ id } = {}] = await admin.query(RUNNING + SLEEPING, deadline());
  assert.ok(id, 'it is not over yet');
  await admin.query(`KILL ${Number(id)}`, deadline());
  await slow;
});

test('when the server dies while it is held, the thaw says so', LIMITS, async () => {
  await using writer = await prepared();
  await writer.freeze(deadline());
  server.kill('SIGKILL');
  await server.exited;
  await assert.rejects(writer.thaw(deadline()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
});
