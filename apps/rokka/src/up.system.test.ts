/** The life of `rokka up`: first start, stop in every way, refusals; and that nothing of it is left afterwards. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { must, systemClock } from '@rokka/kernel';
import { dataPaths } from './data-directory.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { kill, TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 600_000;
const WHOLE_MS = 120_000;
const LOOK_AGAIN_MS = 200;

const modeOf = (file: string) => (fs.statSync(file).mode & 0o777).toString(8);
const upArgs = ({ data, port }: TestPlace, ...more: string[]) =>
  ['up', '--data', data, '--port', String(port), '--engine', 'native'].concat(more);

/** One line for people, with a code, on standard error; no stack. */
function assertOneCodedLine(err: string, code: string): void {
  assert.match(err, new RegExp(`^rokka: ${code}: [^\\n]+\\n$`));
}

/** What `rokka status` says when it says that: on a busy machine the head may be asked in vain, and a member be on its way. */
async function statusSays(
  { data }: TestPlace,
  isWhole: (out: string) => boolean,
  ...flags: string[]
): Promise<string> {
  for (const untilMs = systemClock.nowMs() + WHOLE_MS; ;) {
    const { out, err } = await RokkaCommand.run(['status', '--data', data, ...flags]);
    if (isWhole(out)) return out;
    assert.ok(systemClock.nowMs() < untilMs, `${out}${err}`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

/** Whatever it has started, and what those have: the nodes, the shim, the head. */
function descendants(pid: number): number[] {
  let text = '';
  try {
    text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    // It has ended meanwhile.
  }
  const children = text.trim().split(' ').filter(Boolean).map(Number);
  return [...children, ...children.flatMap(descendants)];
}

describe('a cluster', { skip }, () => {
  test('comes up, answers, is held, and stops by Ctrl-C with nothing left', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const version = await rokka.query<{ version: string }>('select version()');
    assert.match(version[0]?.version ?? '', /^PostgreSQL 18/);
    await rokka.query('create table kept as select generate_series(1, 1000) as n');

    for (const secret of ['postgres-password', 'pgpass', 'pg_service.conf']) {
      assert.equal(modeOf(path.join(place.data, 'secrets', secret)), '600', secret);
    }
    assert.equal(modeOf(place.data), '700');

    const second = await RokkaCommand.run(upArgs(place));
    assert.equal(second.status, 1);
    assertOneCodedLine(second.err, 'ROKKA_DATA_HELD');
    assert.match(second.err, new RegExp(`process ${rokka.up.pid};`));

    const parsed = (out: string) => JSON.parse(out) as Awaited<ReturnType<typeof rokka.status>>;
    const shape = parsed(await statusSays(place, (out) => parsed(out).head.detail !== undefined, '--json'));
    assert.deepEqual(
      shape.nodes.map(({ zone, ordinal, restarts }) => [zone, ordinal, restarts]),
      ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, index) => [zone, index + 1, 0]),
    );
    assert.deepEqual([shape.engine, shape.port, shape.pid], ['native', place.port, rokka.up.pid]);
    assert.ok((shape.head.detail?.vdl ?? 0) > 0 && shape.head.ready);
    await statusSays(place, (out) => out.match(/^[abc] .* up /gm)?.length === 6);

    const watch = new RokkaCommand(['status', '--data', place.data, '--watch']);
    await watch.says('durable');
    watch.out = '';
    await watch.says('durable');
    kill(watch.pid, 'SIGINT');
    assert.equal((await watch.ended()).status, 0);

    const end = await rokka.stop('SIGINT');
    assert.deepEqual([end.status, end.err], [0, '']);
    await place.assertNothingRuns();
    place.assertNoSockets();
  });

  test('keeps its data over stops, kills and a move to another path', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    await rokka.query('create table kept as select generate_series(1, 1000) as n');
    const password = fs.readFileSync(dataPaths.password(place.data), 'utf8');
    const count = async () => (await rokka.query<{ count: string }>('select count(*) from kept'))[0]?.count;

    const stopped = await RokkaCommand.run(['stop', '--data', place.data]);
    assert.deepEqual([stopped.status, stopped.err], [0, '']);
    assert.equal((await rokka.up.ended()).status, 0);
    await place.assertNothingRuns();
    place.assertNoSockets();

    const other = await RokkaCommand.run(['up', '--data', place.data, '--engine', 'pglite']);
    assert.equal(other.status, 1);
    assertOneCodedLine(other.err, 'ROKKA_ENGINE_FIXED');

    const { data } = place;
    place.data = path.join(place.path, 'elsewhere');
    fs.renameSync(data, place.data);
    await rokka.again();
    assert.equal(await count(), '1000');
    assert.equal(fs.readFileSync(dataPaths.password(place.data), 'utf8'), password);

    // One child stands still: it cannot see that the supervisor has gone, the kernel must end it.
    const { supervisor, nodes } = await rokka.pids();
    kill(nodes[2], 'SIGSTOP');
    kill(supervisor);
    await rokka.up.ended();
    await place.assertNothingRuns();
    await rokka.again();
    assert.equal(await count(), '1000');
    assert.equal((await rokka.stop('SIGTERM')).status, 0);
  });

  test('of two that start on a new directory at once, one comes up', { timeout }, async () => {
    await using place = await TestPlace.make();
    const ups = [new RokkaCommand(upArgs(place)), new RokkaCommand(upArgs(place))];
    const loser = await Promise.race(ups.map((up) => once(up.process, 'close').then(() => up)));
    const winner = must(ups.find((up) => up !== loser));
    assertOneCodedLine(loser.err, 'ROKKA_DATA_HELD');
    await winner.says('rokka is up');
    kill(winner.pid, 'SIGINT');
    assert.equal((await winner.ended()).status, 0);
  });

  test('a signal to every process of it is an orderly stop', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    const { supervisor, nodes, head } = await rokka.pids();
    rokka.kill([...nodes, head, supervisor], 'SIGTERM');
    const end = await rokka.up.ended();
    assert.deepEqual([end.status, end.err], [0, '']);
    assert.doesNotMatch(end.out, /starting it again/);
    await place.assertNothingRuns();
  });

  test('can be stopped while it starts, and says where it is', { timeout }, async () => {
    for (const moment of ['storage nodes: 1 of 6', 'opening the volume', 'creating the system catalogs']) {
      await using place = await TestPlace.make();
      const up = new RokkaCommand(upArgs(place));
      await up.says(moment);
      // It stands still while it is asked: it might have come up before the answer.
      const still = descendants(up.pid);
      for (const pid of still) kill(pid, 'SIGSTOP');
      const status = await RokkaCommand.run(['status', '--data', place.data]);
      for (const pid of still) kill(pid, 'SIGCONT');
      assert.equal(status.status, 0, status.err);
      assert.match(status.out, /^head .*(down|starting)/m);
      kill(up.pid, 'SIGINT');
      const end = await up.ended();
      assert.deepEqual([end.status, end.err], [0, ''], end.out);
      assert.doesNotMatch(end.out, /told to stop|good order/);
      await place.assertNothingRuns();
      place.assertNoSockets();
      // What a start that was cut short has left is no obstacle to the next.
      await using rokka = await RokkaUnderTest.start(place);
      assert.equal((await rokka.query('select 1')).length, 1);
    }
  });

  test('a second Ctrl-C ends it at once, and loses nothing', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using rokka = await RokkaUnderTest.start(place);
    await rokka.query('create table kept as select generate_series(1, 1000) as n');
    const { nodes } = await rokka.pids();
    // Four that stand still keep the head from writing its last words.
    rokka.kill(nodes.slice(0, 4), 'SIGSTOP');
    kill(rokka.up.pid, 'SIGINT');
    await rokka.up.says('rokka: stopping');
    await systemClock.sleep(1_000);
    kill(rokka.up.pid, 'SIGINT');
    const end = await rokka.up.ended();
    assert.equal(end.status, 1);
    assertOneCodedLine(end.err, 'ROKKA_STOPPED_HARD');
    await place.assertNothingRuns();
    await rokka.again();
    assert.equal((await rokka.query<{ n: number }>('select n from kept')).length, 1000);
  });

  test('a port in use is said in one line, and nothing is left', { timeout }, async () => {
    await using place = await TestPlace.make();
    const holder = net.createServer().listen(place.port, '127.0.0.1');
    await new Promise((done) => holder.once('listening', done));
    try {
      const up = await RokkaCommand.run(upArgs(place));
      assert.equal(up.status, 1);
      assertOneCodedLine(up.err, 'DATABASE_PORT_USED');
      assert.match(up.err, new RegExp(`pid ${process.pid}\\)`));
    } finally {
      await new Promise((done) => holder.close(done));
    }
    await place.assertNothingRuns();
    place.assertNoSockets();
    const setting = await RokkaCommand.run(upArgs(place, '--set', 'fsync=off'));
    assert.equal(setting.status, 1);
    assertOneCodedLine(setting.err, 'DATABASE_SETTING_OWNED');
  });

  test(
    'a node that lost its directory is named, another one comes in its place, and the others go on',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using rokka = await RokkaUnderTest.start(place);
      await rokka.stop();
      fs.rmSync(dataPaths.node(place.data, 2), { recursive: true });
      const up = new RokkaCommand(upArgs(place));
      await up.says('rokka is up');
      assert.match(up.out, /nodes\/2 has nothing of node .*mount its disk/);
      await up.says('node 7 comes in place of node 2 in zone a');
      await up.says('node 2 in zone a holds nothing that is needed: it is written off');
      const { out } = await RokkaCommand.run(['node', 'list', '--data', place.data]);
      assert.match(out, /^a +7 /m);
      assert.doesNotMatch(out, /^a +2 /m);
      kill(up.pid, 'SIGINT');
      assert.equal((await up.ended()).status, 0);
    },
  );
});
