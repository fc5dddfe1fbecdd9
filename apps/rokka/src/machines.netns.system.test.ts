/**
 * A cluster on three machines, one a zone, made of network namespaces, with etcd on each: the members move out of the first
 * machine, then machines are cut off, killed, stopped, filled and damaged under load, and the database moves to another
 * machine and back. After each round every acknowledged entry is there once and whole, the sums agree, and PostgreSQL finds
 * no damage.
 *
 * The faults are dealt from a shuffled deck, two a round, so that each happens once in as many rounds as it takes to deal all of
 * them. ROKKA_MACHINES_ROUNDS is the number of rounds, so many unless given; ROKKA_MACHINES_SEED repeats those of an earlier run.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { must, SeededRandom, systemClock, systemRandom } from '@rokka/kernel';
import { askControl, CONTROL } from './control.ts';
import { dataPaths } from './data-directory.ts';
import type { SupervisorStatus } from './status.ts';
import type { Database } from './testing/bench-load.ts';
import { EtcdOnMachines } from './testing/etcd-on-machines.ts';
import { flipBits } from './testing/flip-bits.ts';
import { assertIntact } from './testing/integrity.ts';
import { Load } from './testing/load.ts';
import { Machine } from './testing/machine.ts';
import { TestNet, until } from './testing/netns.ts';
import { kill, TestPlace } from './testing/test-place.ts';
import { SmallDisk } from './testing/small-disk.ts';

const support = await probeNativeSupport();
const skip =
  (!support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`) ||
  (TestNet.missing ?? EtcdOnMachines.missing);
const seed = Number(process.env['ROKKA_MACHINES_SEED'] ?? systemRandom.below(1_000_000));
const timeout = 900_000;

const COMMITS = 50;
/** Longer than a writer waits for a node that is silent. */
const CUT_MS = 12_000;
const STILL_MS = 4_000;
/** Of a node on the third machine. */
const DISK_FULL = 'the disk of a node is full';

describe(`three machines (seed ${seed})`, { skip: skip ?? false }, () => {
  const random = new SeededRandom(seed);
  const resources = new AsyncDisposableStack();
  let place: TestPlace;
  let net: TestNet;
  let etcd: EtcdOnMachines;
  /** It made the cluster, and runs the database. */
  let first: Machine;
  let standby: Machine;
  /** Which machine clients go to. */
  let serving: Machine;
  let load: Load;
  /** Two a zone, of the zones b and c. */
  const joined: Machine[] = [];
  let disk: SmallDisk;

  before(
    async () => {
      place = resources.use(await TestPlace.make());
      net = resources.use(TestNet.make(3));
      etcd = resources.use(await EtcdOnMachines.start(net, place));
      disk = resources.use(SmallDisk.inMemory(place, 'c2'));
      for (const [index, name] of ['b1', 'b2', 'c1', 'c2'].entries()) {
        const machine = 2 + Math.floor(index / 2);
        joined.push(resources.use(new Machine({ net, place, machine, name })));
      }
      standby = resources.use(new Machine({ net, place, machine: 2, name: 'standby' }));
      // Last, so that it is stopped first: a head needs its members for its last words.
      first = resources.use(new Machine({ net, place, machine: 1, name: 'first' }));
      serving = first;
      await first.up('--listen', first.host, '--registry', etcd.location);
      const database: Database = {
        connection: () => serving.connection(),
        query: (sql, values) => serving.query(sql, values),
      };
      load = resources.use(await Load.make(database, COMMITS));
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  async function underLoad(t: TestContext, hurt: () => Promise<void>): Promise<void> {
    await load.around(hurt);
    const found = await load.verify();
    const { tables } = await assertIntact(serving);
    t.diagnostic(`${found}; ${tables} tables intact`);
  }

  /** With the words of the head, which has a moment to answer in: on a busy machine it is asked again. */
  const headStatus = () =>
    until('the head answers', async () => {
      const { head } = await serving.status();
      return head.detail && { pid: must(head.pid), detail: head.detail };
    });
  const operate = (action: string, ordinal: number) =>
    askControl(first.data, CONTROL.NODE, { action, ordinal });
  const ordinalsOf = ({ head, nodes }: SupervisorStatus) =>
    head.detail?.groups[0]?.members.map(({ node }) => nodes.find((one) => one.node === node)?.ordinal ?? 0);
  /**
   * Waits for six members that take part, and have all that was durable when the wait began: who was away has come back. It says
   * who has not, for the failure that names the last cause.
   */
  const untilWhole = (what: string, timeoutMs?: number) => {
    let durable: number | undefined;
    const look = async () => {
      const { head } = await serving.status();
      const group = head.detail?.groups[0];
      const wanted = (durable ??= group?.pgcl) ?? 0;
      const ok =
        group?.members.length === 6 &&
        group.changes.length === 0 &&
        group.members.every(({ up, fenced, hydrating }) => up && fenced && !hydrating) &&
        group.members.every(({ scl = 0, lagLsn = 0 }) => scl >= wanted && lagLsn < 10_000);
      assert.ok(ok, `not whole: ${JSON.stringify({ ready: head.ready, wanted, group })}`);
      return ok;
    };
    return until(what, look, timeoutMs);
  };

  test('machines join, and the members move to them under load', { timeout }, (t) =>
    underLoad(t, async () => {
      await Promise.all(
        joined.map(async (machine, index) => {
          const token = await first.token(index < 2 ? 'b' : 'c');
          await machine.join(token, 7600 + 10 * index);
        }),
      );
      const empty = await until('the first machine hears of all of them', async () => {
        const spares = (await first.status()).nodes.filter(({ machine }) => machine !== undefined);
        const segments = spares.map(({ detail }) => detail?.segments.length);
        return segments.length === 4 && segments.every((count) => count !== undefined) && segments;
      });
      assert.deepEqual(empty, [0, 0, 0, 0]);
      for (const ordinal of [3, 4, 5, 6]) await operate('drain', ordinal);
      const spread = async () => {
        const ordinals = ordinalsOf(await first.status());
        return ordinals?.toSorted((a, b) => a - b).join() === '1,2,7,8,9,10';
      };
      // Nobody is drained while another zone lags, and where the test's own load leaves little to the nodes one always does.
      await until('the members are spread', spread, 400_000);
      await untilWhole('nobody copies any more');
      for (const ordinal of [3, 4, 5, 6]) await operate('remove', ordinal);
      load.assertNoneFailed();
      const own = await must(joined[0]).joined();
      assert.equal(own.node.detail?.segments.length, 1);
    }),
  );

  test('a machine is cut off for a while: commits go on', { timeout }, (t) =>
    underLoad(t, async () => {
      net.cut(2);
      const untilMs = systemClock.nowMs() + CUT_MS;
      while (systemClock.nowMs() < untilMs) await load.ledger.progress(COMMITS);
      net.heal(2);
      await untilWhole('it has caught up');
      load.assertNoneFailed();
    }),
  );

  test('everything on a machine is killed, and started again', { timeout }, (t) =>
    underLoad(t, async () => {
      const lost = joined.slice(2);
      await Promise.all(lost.map((machine) => machine.kill()));
      await load.ledger.progress(COMMITS);
      await Promise.all(lost.map((machine) => machine.again()));
      await untilWhole('it has caught up');
      load.assertNoneFailed();
    }),
  );

  test(
    'everything on the first machine is killed: the members of the others bring all of it back',
    { timeout },
    (t) =>
      underLoad(t, async () => {
        await first.kill();
        await first.again();
        await untilWhole('all take part');
      }),
  );

  const faults: Record<string, (one: Machine) => Promise<void>> = {
    async 'a machine is cut off'(one) {
      net.cut(one.number);
      await load.ledger.progress(COMMITS);
      await systemClock.sleep(random.below(CUT_MS));
      net.heal(one.number);
    },
    async 'a machine hears nothing'(one) {
      net.deafen(one.number);
      await load.ledger.progress(COMMITS);
      await systemClock.sleep(random.below(CUT_MS));
      net.heal(one.number);
    },
    async 'a machine is heard by nobody'(one) {
      net.mute(one.number);
      await load.ledger.progress(COMMITS);
      await systemClock.sleep(random.below(CUT_MS));
      net.heal(one.number);
    },
    async 'a node is killed, with its supervisor'(one) {
      await one.kill();
      await load.ledger.progress(COMMITS);
      await one.again();
    },
    async 'a node stands still'(one) {
      one.signal('SIGSTOP');
      try {
        await load.ledger.progress(COMMITS);
        await systemClock.sleep(STILL_MS);
      } finally {
        one.signal('SIGCONT');
      }
    },
    async 'bits are flipped in the files of a stopped node'(one) {
      await one.kill();
      flipBits(dataPaths.node(one.data, 1), random);
      await load.ledger.progress(COMMITS);
      await one.again();
    },
    async [DISK_FULL]() {
      disk.fill(0);
      await load.ledger.progress(COMMITS);
      await systemClock.sleep(STILL_MS);
      disk.free();
    },
    async 'the head is killed'() {
      const head = await headStatus();
      kill(head.pid);
      const isAnother = async () => {
        const { pid, ready } = (await serving.status()).head;
        return ready && pid !== undefined && pid !== head.pid;
      };
      await until('another head serves', isAnother);
      await load.ledger.progress(COMMITS);
    },
  };

  const deck: string[] = [];
  /** The next fault; the deck is shuffled anew when it has been dealt. */
  const deal = () => {
    if (deck.length === 0) deck.push(...Object.keys(faults));
    return must(deck.splice(random.below(deck.length), 1)[0]);
  };
  const rounds = Number(process.env['ROKKA_MACHINES_ROUNDS'] ?? Object.keys(faults).length / 2);
  for (let number = 1; number <= rounds; number++) {
    const names = [deal(), deal()];
    // Both of one machine: any machine may be lost, and so may any two nodes.
    const place = names.includes(DISK_FULL) ? 2 : random.below(2) * 2;
    test(`${names.join(', then ')} (${number} of ${rounds})`, { timeout }, (t) =>
      underLoad(t, async () => {
        const { process: headProcess } = (await headStatus()).detail;
        const errors = new Map(load.ledger.errors);
        for (const [index, name] of names.entries()) await must(faults[name])(must(joined[place + index]));
        await untilWhole('all take part');
        if (headProcess?.canBeTakenOver) load.assertNoneFailed(errors);
      }),
    );
  }

  test('the machine that runs the database is cut off: another one takes over', { timeout }, (t) =>
    underLoad(t, async () => {
      await standby.standBy(await first.standbyToken(), etcd.location);
      const { holder } = await first.status();
      net.cut(1);
      await standby.serves();
      // The old head is there, and nobody has told it: what it is asked to write is never acknowledged.
      const refused = assert.rejects(first.query('create table stray as select 1'));
      await standby.query('create table moved as select generate_series(1, 1000) as n');
      serving = standby;
      net.heal(1);
      await until('the old head has ended', async () => (await first.status()).head.pid === undefined);
      await refused;
      const status = await first.status();
      assert.notEqual(status.holder, holder);
      assert.match((await first.run('status')).out, /^database +held by head-[0-9a-f]+/m);
      await untilWhole('all take part');
    }),
  );

  test('everything on that machine is killed: the first one takes the database back', { timeout }, (t) =>
    underLoad(t, async () => {
      const { head } = await first.status();
      assert.equal(head.pid, undefined);
      await standby.kill();
      serving = first;
      await until('it serves again', async () => (await first.status()).head.ready);
      const rows = await first.query<{ there: string | null }>(`select to_regclass('stray')::text as there`);
      assert.equal(rows[0]?.there, null);
      assert.equal((await first.query('select n from moved')).length, 1000);
    }),
  );
});
