/** Many databases in one cluster, with real processes: made, filled, killed, stopped, restarted, deleted. */
import assert from 'node:assert/strict';
import * as net from 'node:net';
import { describe, test } from 'node:test';
import { Client } from 'pg';
import { probeNativeSupport } from '@rokka/databases';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { DatabasesUnderTest } from '../testing/databases-under-test.ts';
import { RokkaCommand } from '../testing/rokka-command.ts';
import { RokkaUnderTest } from '../testing/rokka-under-test.ts';
import { TestPlace } from '../testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 900_000;

interface Count {
  n: string;
}
const FILL = 'create table rows as select n, md5(n::text) as text from generate_series(1, 2000) n';
const COUNT = 'select count(*) as n from rows';

describe('many databases', { skip }, () => {
  test('live side by side, and one goes without the others noticing', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const databases = new DatabasesUnderTest(rokka);
    const command = (...words: string[]) => RokkaCommand.run(['database', ...words, '--data', place.data]);
    const ports = [await freePort(), await freePort()];

    const made = await command('create', 'one', '--port', String(ports[0]), '--set', 'work_mem=9MB');
    assert.equal(made.status, 0, made.err);
    assert.match(made.out, new RegExp(`psql 'postgresql://postgres:\\w+@127.0.0.1:${ports[0]}/postgres'`));
    assert.equal((await command('create', 'two', '--port', String(ports[1]))).status, 0);
    assert.deepEqual(await databases.query('one', 'show work_mem'), [{ work_mem: '9MB' }]);
    for (const name of ['one', 'two']) await databases.query(name, FILL);
    const withThree = databases.pageFiles().length;

    const json = await RokkaCommand.run(['status', '--data', place.data, '--json']);
    const shown = (JSON.parse(json.out) as Awaited<ReturnType<typeof rokka.status>>).databases;
    assert.deepEqual(
      shown.map(({ name, phase, port }) => [name, phase, port]),
      [
        ['main', 'available', place.port],
        ['one', 'available', ports[0]],
        ['two', 'available', ports[1]],
      ],
    );
    assert.match((await command('list')).out, /^two +native +\d+ +available/m);

    // A session of the other one goes on all the while.
    const session = new Client(await databases.connection('two'));
    session.on('error', () => {});
    await session.connect();
    const counts = async () => (await session.query<Count>(COUNT)).rows[0]?.n;
    const { pid } = await databases.available('one');
    rokka.kill([must(pid)]);
    await databases.until(
      'one',
      'another head',
      (found) => found?.phase === 'available' && ![undefined, pid].includes(found.pid),
    );
    assert.deepEqual(await databases.query('one', COUNT), [{ n: '2000' }]);
    assert.equal(await counts(), '2000');

    assert.equal((await command('stop', 'one')).status, 0);
    await assert.rejects(databases.query('one', COUNT), { code: 'ECONNREFUSED' });
    assert.equal((await databases.find('one'))?.pid, undefined);
    assert.equal(await counts(), '2000');
    assert.equal((await command('start', 'one')).status, 0);
    const before = await databases.available('one');
    assert.equal((await command('restart', 'one')).status, 0);
    const after = await databases.available('one');
    // The stop has ended one, and the restart another.
    assert.deepEqual([after.runningGeneration, after.pid === before.pid], [2, false]);
    assert.deepEqual(await databases.query('one', COUNT), [{ n: '2000' }]);

    const old = await databases.connection('one');
    await databases.wish((all) => all.setPassword('one', "new 'password'"));
    await databases.until('one', 'the password is set', (found) => found?.setPasswordVersion === 1);
    assert.deepEqual(await databases.query('one', COUNT), [{ n: '2000' }]);
    const refused = new Client(old);
    await assert.rejects(refused.connect(), { code: '28P01' });
    // A person changes it in the server, and forgets it.
    await databases.query('one', "alter role postgres password 'forgotten'");
    await databases.wish((all) => all.setPassword('one', 'third'));
    await databases.until(
      'one',
      'the password is set again',
      (found) => found?.setPasswordVersion === 2 && found.phase === 'available',
    );
    assert.deepEqual(await databases.query('one', COUNT), [{ n: '2000' }]);

    const unsure = await command('delete', 'one');
    assert.deepEqual([unsure.status, /ROKKA_BAD_FLAG/.test(unsure.err)], [2, true]);
    const { volumeId } = await databases.available('one');
    assert.equal((await command('delete', 'one', '--yes')).status, 0);
    assert.equal(await counts(), '2000');
    await session.end();
    // A node that does not answer in time drops it later.
    await rokka.until('no node has it', ({ nodes }) =>
      nodes.every(({ detail }) => detail?.segments.every(({ volume }) => volume !== volumeId) === true),
    );
    assert.equal(databases.pageFiles().length, (withThree / 3) * 2, 'a third of the page files is gone');
    assert.equal((await command('delete', 'two', '--yes')).status, 0);
    await databases.untilOnlyMain();
    await rokka.stop();
    place.assertNoSockets();
  });

  test('come back with the cluster, each as it shall be', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const databases = new DatabasesUnderTest(rokka);
    const names = ['one', 'two', 'three'];
    for (const name of names)
      await databases.ask({
        action: 'create',
        database: { name, port: await freePort(), userName: 'keeper', databaseName: 'house' },
      });
    for (const name of names) await databases.available(name);
    for (const name of names) await databases.query(name, FILL);
    const user = await databases.query('one', 'select current_user as who, current_database() as where');
    assert.deepEqual(user, [{ who: 'keeper', where: 'house' }]);
    await databases.ask({ action: 'stop', name: 'two' });
    await databases.until('two', 'stopped', (found) => found?.phase === 'stopped');

    for (const how of ['in order', 'killed'] as const) {
      if (how === 'in order') await rokka.stop();
      else {
        rokka.kill([rokka.up.pid]);
        await rokka.up.ended();
      }
      await rokka.again();
      for (const name of ['one', 'three']) {
        await databases.available(name);
        assert.deepEqual(await databases.query(name, COUNT), [{ n: '2000' }], `${how}: ${name}`);
      }
      assert.equal((await databases.find('two'))?.phase, 'stopped', how);
    }
    await databases.ask({ action: 'start', name: 'two' });
    await databases.available('two');
    assert.deepEqual(await databases.query('two', COUNT), [{ n: '2000' }]);
  });

  test('what cannot be says why, and is tried again; what must not be is refused', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const databases = new DatabasesUnderTest(rokka);
    const port = await freePort();
    const blocker = net.createServer().listen(port, '127.0.0.1');
    await new Promise((done) => blocker.once('listening', done));
    await databases.ask({ action: 'create', database: { name: 'one', port } });
    const failed = await databases.until('one', 'failed', (found) => found?.phase === 'failed');
    assert.match(failed?.reason ?? '', /^DATABASE_PORT_USED: /);
    const command = await RokkaCommand.run(['database', 'start', 'one', '--data', place.data]);
    assert.equal(command.status, 1);
    assert.match(command.err, /^rokka: ROKKA_DATABASE_FAILED: .*DATABASE_PORT_USED/);
    await new Promise((done) => blocker.close(done));
    assert.equal((await databases.available('one')).reason, undefined);

    // A node that is away while a database is deleted does not hold it up, and keeps nothing.
    const { nodes } = await rokka.pids();
    rokka.kill([must(nodes[0])], 'SIGSTOP');
    try {
      await databases.ask({ action: 'delete', name: 'one' });
      await databases.until('one', 'gone', (found) => found === undefined);
    } finally {
      rokka.kill([must(nodes[0])], 'SIGCONT');
    }
    await rokka.until('every node has dropped it', ({ nodes: all }) =>
      all.every(
        ({ detail }) =>
          detail !== undefined && new Set(detail.segments.map(({ volume }) => volume)).size === 1,
      ),
    );
    await databases.untilOnlyMain();

    for (const action of ['stop', 'delete'] as const)
      await assert.rejects(databases.ask({ action, name: 'main' }), { code: 'DATABASE_MAIN_STAYS' });
    await assert.rejects(databases.ask({ action: 'stop', name: 'none' }), { code: 'DATABASE_NONE' });
    const { pid } = await databases.available('main');
    await databases.ask({ action: 'restart', name: 'main' });
    await databases.until(
      'main',
      'restarted',
      (found) =>
        found?.phase === 'available' &&
        found.runningGeneration === 1 &&
        ![undefined, pid].includes(found.pid),
    );
    await rokka.query('select 1');
  });
});
