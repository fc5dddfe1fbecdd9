/** The past of databases, with real processes: snapshots, points in time, clones; and everything killed in the middle. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { Client } from 'pg';
import { pointAt, spanOf, type TimePoint } from '@rokka/archive';
import { makeCheckpointEarly, probeNativeSupport, type ServerLogin } from '@rokka/databases';
import { must, systemClock, type VolumeId } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { dataPaths } from '../data-directory.ts';
import { archiveStore } from './archive-store.ts';
import { FILL, Past, SUM } from '../testing/past-under-test.ts';
import { RokkaCommand } from '../testing/rokka-command.ts';
import { RokkaUnderTest } from '../testing/rokka-under-test.ts';
import { TestPlace } from '../testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 900_000;
const TOLD_MS = 180_000;
const LOOK_AGAIN_MS = 200;

/** The point that a restore to that time has, when no other can come before that time any more. */
async function told(past: Past, of: { volumeId: VolumeId; atMs: number }): Promise<TimePoint> {
  const store = archiveStore(past.data);
  for (const untilMs = systemClock.nowMs() + TOLD_MS; ;) {
    const last = (await spanOf(store, of.volumeId))?.last;
    if (last && last.atMs > of.atMs) return must(await pointAt(store, of.volumeId, of.atMs));
    assert.ok(systemClock.nowMs() < untilMs, `the archive ends at ${last?.atMs}, not after ${of.atMs}`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

describe('the past of databases', { skip }, () => {
  test(
    'a snapshot gives back what was there, and is another database from then on',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await RokkaUnderTest.start(place);
      const past = new Past(rokka);
      const { databases } = past;
      await past.create('one');
      await databases.query('one', FILL);
      const [then] = await databases.query('one', SUM);
      const snapshot = await past.snapshot('one');
      await databases.query('one', `delete from rows where n > 10; update rows set text = 'changed'`);
      await databases.query('one', 'create table later (n int)');
      await past.restore('two', '--from', snapshot);
      assert.deepEqual(await databases.query('two', SUM), [then]);
      const later = `select to_regclass('later') as later`;
      assert.deepEqual(await databases.query('two', later), [{ later: null }]);
      // The superuser has the password of the snapshot; amcheck reads every index of what was restored.
      await databases.query('two', 'create extension amcheck');
      await databases.query(
        'two',
        `select bt_index_check(c.oid, true) from pg_class c join pg_am a on a.oid = c.relam where amname = 'btree'`,
      );
      await databases.query('two', 'insert into rows values (0, null)');
      const count = 'select count(*)::int as n from rows';
      assert.deepEqual(await databases.query('one', count), [{ n: 10 }]);
      assert.deepEqual(await databases.query('two', count), [{ n: 20_001 }]);

      // When all of it is on the storage nodes, the archive is needed no more.
      await past.ownsAll('two');
      await databases.query('two', 'checkpoint');
      // At once: whoever still writes there would get in the way of one file after the other.
      fs.renameSync(dataPaths.archive(place.data), path.join(place.path, 'lost'));
      await past.killEverything();
      await databases.available('two');
      assert.deepEqual(await databases.query('two', count), [{ n: 20_001 }]);

      assert.match(await past.command('snapshots'), new RegExp(`${snapshot} +one +2\\S+Z +available`));
      await past.command('forget', snapshot, '--yes');
      const gone = await RokkaCommand.run([
        'database',
        'restore',
        'three',
        '--from',
        snapshot,
        '--data',
        place.data,
      ]);
      assert.match(gone.err, /DATABASE_NO_SNAPSHOT: there is no snapshot snap-/);
    },
  );

  test(
    'a clone shares what nobody writes, also when it is cloned itself and its parent is deleted',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await RokkaUnderTest.start(place);
      const past = new Past(rokka);
      const { databases } = past;
      await past.create('one');
      await databases.query('one', FILL);
      const [then] = await databases.query('one', SUM);
      const redo = () => databases.query('one', 'select redo_lsn::text from pg_control_checkpoint()');
      const before = await redo();
      await past.restore('two', '--from', 'one', '--clone');
      assert.notDeepEqual(await redo(), before, 'it begins at a checkpoint, and redoes little');
      // Of a server that has logged little since, whose password we have not, and that is not there.
      const { host, port, user, password } = (await databases.connection('one')) as ServerLogin;
      for (const login of [
        { host, port, user, password },
        { host, port, user, password: 'another' },
        { host, port: await freePort(), user, password },
      ])
        assert.equal(await makeCheckpointEarly(login), false);
      await databases.query('one', `update rows set text = 'of one' where n % 7 = 0`);
      assert.deepEqual(await databases.query('two', SUM), [then]);
      await databases.query('two', `update rows set text = 'of two' where n % 3 = 0`);
      const [middle] = await databases.query('two', SUM);
      await past.restore('three', '--from', 'two', '--clone');
      await past.command('delete', 'one', '--yes');
      await past.killEverything();
      for (const name of ['two', 'three']) {
        await databases.available(name);
        assert.deepEqual(await databases.query(name, SUM), [middle], name);
        await databases.query(name, `update rows set text = 'of ${name}' where n % 2 = 0`);
        const own = `select count(*)::int as n from rows where text = 'of ${name}' and n % 2 = 0`;
        assert.deepEqual(await databases.query(name, own), [{ n: 10_000 }]);
      }
    },
  );

  test('any second of the past can be had back', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const past = new Past(rokka);
    const { databases } = past;
    await past.create('one');
    await databases.query('one', 'create table ticks (n serial, at timestamptz default clock_timestamp())');
    const writer = new Client(await databases.connection('one'));
    writer.on('error', () => {});
    await writer.connect();
    const committedMs: number[] = [];
    for (const untilMs = systemClock.nowMs() + 12_000; systemClock.nowMs() < untilMs;) {
      await writer.query('insert into ticks default values');
      committedMs.push(systemClock.wallMs());
      await systemClock.sleep(150);
    }
    await writer.end();
    const atMs = must(committedMs[Math.floor(committedMs.length / 2)]);
    // How far the points lie apart is a matter of what else the machine does.
    const point = await told(past, { volumeId: must(await databases.find('one')).volumeId, atMs });
    assert.ok(point.atMs > must(committedMs[0]), 'it is one of those in between');
    await past.restore('then', '--from', 'one', '--at', new Date(atMs).toISOString());
    const [{ n }] = await databases.query<{ n: number }>('then', 'select count(*)::int as n from ticks');
    const least = committedMs.filter((ms) => ms < point.atMs).length;
    // One may have been on its way, and no other is begun before that is answered.
    const most = Math.min(least + 1, committedMs.filter((ms) => ms <= atMs).length);
    assert.ok(n >= least && n <= most, `${n} ticks, where ${least} to ${most} were committed by then`);
    const early = await RokkaCommand.run([
      'database',
      'restore',
      'never',
      '--from',
      'one',
      '--at',
      '2001-01-01',
      '--data',
      place.data,
    ]);
    assert.match(
      early.err,
      /ROKKA_NO_POINT: the archive of one has no point at or before that time; it reaches from 2/,
    );
  });

  test('whenever the power fails, snapshots and restores go on', { timeout }, async (t) => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const past = new Past(rokka);
    const { databases } = past;
    await past.create('one');
    await databases.query('one', FILL);
    const [then] = await databases.query('one', SUM);
    for (const [round, momentMs] of [0, 150, 600].entries()) {
      const { made } = await past.ask({ action: 'snapshot', name: 'one' });
      const { name } = must(made);
      await systemClock.sleep(momentMs);
      await past.killEverything();
      await databases.available('one');
      await past.taken(name);
      const restored = `restored-${round}`;
      const database = { name: restored, port: await freePort() };
      await past.ask({ action: 'restore', database, from: { snapshot: name }, materialise: true });
      await systemClock.sleep(momentMs * 4);
      t.diagnostic(`killed when the restore was ${(await databases.find(restored))?.phase}`);
      await past.killEverything();
      await databases.available(restored);
      assert.deepEqual(await databases.query(restored, SUM), [then]);
    }
  });
});
