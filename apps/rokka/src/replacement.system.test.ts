/**
 * Members come and go under load, on real processes: drained, replaced because their data is gone, killed in the middle of
 * copying, two of a zone at once, a zone and one more, with the head killed meanwhile. Through all of it the ledger is whole,
 * pgbench loses no transaction (where no head is killed), and PostgreSQL finds no damage.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { must, systemClock } from '@rokka/kernel';
import { askControl, CONTROL } from './control.ts';
import { dataPaths } from './data-directory.ts';
import type { NodeStatus, SupervisorStatus } from './status.ts';
import { assertIntact } from './testing/integrity.ts';
import { Load } from './testing/load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 600_000;

const COMMITS = 100;
/** More than a writer waits before it forces out who is gone. */
const FORCED_MS = 180_000;
/** Whoever answers late has answered by then: nobody has for so long. */
const QUIET_MS = 1_000;

describe('members are replaced under load', { skip }, () => {
  const resources = new AsyncDisposableStack();
  let place: TestPlace;
  let rokka: RokkaUnderTest;
  let load: Load;

  before(
    async () => {
      place = resources.use(await TestPlace.make());
      rokka = resources.use(await RokkaUnderTest.start(place));
      load = resources.use(await Load.make(rokka, COMMITS));
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  async function underLoad(t: TestContext, change: () => Promise<void>): Promise<void> {
    await load.around(change);
    const found = await load.verify();
    const { tables } = await assertIntact(rokka);
    t.diagnostic(`${found}; ${tables} tables intact`);
  }

  const operate = (action: string, ordinal: number) =>
    askControl(place.data, CONTROL.NODE, { action, ordinal });
  const node = (status: SupervisorStatus, ordinal: number): NodeStatus | undefined =>
    status.nodes.find((one) => one.ordinal === ordinal);
  /** Nodes of a zone that hold something, oldest first. */
  const holders = (status: SupervisorStatus, zone: string): NodeStatus[] => {
    const members = must(status.head.detail?.groups[0]).members.map((member) => member.node);
    return status.nodes.filter((one) => one.zone === zone && members.includes(one.node));
  };
  /** Six members, all of them complete, and none of the nodes named. */
  const settledWithout = (ordinals: readonly number[]) => (status: SupervisorStatus) => {
    const group = status.head.detail?.groups[0];
    if (!group || group.changes.length > 0 || group.members.length !== 6) return false;
    const gone = ordinals.map((ordinal) => node(status, ordinal)?.node);
    return group.members.every((one) => one.fenced && !one.hydrating && !gone.includes(one.node as never));
  };
  /** Takes a node's data away, and the process with it. At once: who still writes there would get in the way of one file after the other. */
  async function lose(ordinals: readonly number[]): Promise<void> {
    const status = await rokka.status();
    for (const ordinal of ordinals)
      fs.renameSync(dataPaths.node(place.data, ordinal), path.join(place.path, `lost-${ordinal}`));
    rokka.kill(ordinals.flatMap((ordinal) => node(status, ordinal)?.pid ?? []));
  }

  test('a node is replaced because somebody wants it so', { timeout }, (t) =>
    underLoad(t, async () => {
      const [first] = holders(await rokka.headStatus(), 'b');
      await operate('replace', must(first).ordinal);
      await rokka.until('the node is empty', settledWithout([must(first).ordinal]));
      await operate('remove', must(first).ordinal);
      load.assertNoneFailed();
    }),
  );

  test('a node whose data is gone gets a successor by itself', { timeout }, (t) =>
    underLoad(t, async () => {
      const [first] = holders(await rokka.headStatus(), 'a');
      await lose([must(first).ordinal]);
      await rokka.until('it is replaced', settledWithout([must(first).ordinal]));
      load.assertNoneFailed();
    }),
  );

  test('the newcomer is killed again and again while it copies', { timeout }, (t) =>
    underLoad(t, async () => {
      const [, second] = holders(await rokka.headStatus(), 'c');
      await operate('replace', must(second).ordinal);
      const { nodes } = await rokka.status();
      const newcomer = must(nodes.at(-1)).ordinal;
      for (let i = 0; i < 5; i++) {
        rokka.kill([node(await rokka.status(), newcomer)?.pid ?? 0].filter((pid) => pid > 0));
        await systemClock.sleep(300);
      }
      await rokka.until('the node is empty', settledWithout([must(second).ordinal]));
      await operate('remove', must(second).ordinal);
      load.assertNoneFailed();
    }),
  );

  test('the head is killed while a member is replaced', { timeout }, (t) =>
    underLoad(t, async () => {
      const { head } = await rokka.pids();
      const before = await rokka.headStatus();
      const [first] = holders(before, 'c');
      await operate('replace', must(first).ordinal);
      // It is said when it has begun, and over a moment later: who asks may ask too late.
      await rokka.up.says(`is to replace ${must(first).node}\n`);
      rokka.kill([head]);
      await rokka.until('the node is empty', settledWithout([must(first).ordinal]));
      if (before.head.detail?.process?.canBeTakenOver) load.assertNoneFailed();
    }),
  );

  test('both nodes of a zone lose their data at once', { timeout }, (t) =>
    underLoad(t, async () => {
      const lost = holders(await rokka.headStatus(), 'b').map(({ ordinal }) => ordinal);
      assert.equal(lost.length, 2);
      load.ledger.errors.clear();
      await lose(lost);
      await rokka.until('both are replaced', settledWithout(lost));
      load.assertNoneFailed();
    }),
  );

  test('a zone and one more lose their data: writes stop, and go on by the forced path', { timeout }, (t) =>
    underLoad(t, async () => {
      const status = await rokka.headStatus();
      const one = must(holders(status, 'b')[0]);
      const lost = [...holders(status, 'a'), one].map(({ ordinal }) => ordinal);
      assert.equal(lost.length, 3);
      load.ledger.errors.clear();
      await lose(lost);
      await assertStopped();
      await rokka.up.says('no write quorum is left; ', FORCED_MS);
      await load.ledger.progress(COMMITS);
      await rokka.until('all three are replaced', settledWithout(lost));
      load.assertNoneFailed();
    }),
  );

  test('a zone has the spare that is wished for before it is used, and another one after', { timeout }, (t) =>
    underLoad(t, async () => {
      const isKept = ({ spares }: SupervisorStatus) =>
        spares?.zones.every((zone) => zone.spares >= spares.perZone);
      await askControl(place.data, CONTROL.NODE, { action: 'spares', perZone: 1 });
      const kept = await rokka.until(
        'each zone has a spare',
        (status) => isKept(status) === true && status.head.detail !== undefined,
      );
      const spare = must(kept.nodes.find((one) => one.zone === 'c' && one.groups === 0 && !one.leaving));
      const [first] = holders(kept, 'c');
      load.ledger.errors.clear();
      await lose([must(first).ordinal]);
      const replaced = settledWithout([must(first).ordinal]);
      await rokka.until(
        'the spare takes its place',
        (status) => replaced(status) && holders(status, 'c').some(({ ordinal }) => ordinal === spare.ordinal),
      );
      const newest = must(kept.nodes.at(-1)).ordinal;
      await rokka.until(
        'there is another spare',
        (status) => isKept(status) === true && node(status, newest + 1) !== undefined,
      );
      load.assertNoneFailed();
    }),
  );

  /** Nothing is acknowledged between the moment that the writer knows of too few and that at which it forces somebody out. */
  async function assertStopped(): Promise<void> {
    const group = (status: SupervisorStatus) => status.head.detail?.groups[0];
    await rokka.until(
      'three are left',
      (status) => group(status)?.members.filter(({ up }) => up).length === 3,
    );
    const untilMs = systemClock.nowMs() + FORCED_MS;
    // Answers that were under way come.
    let acknowledged: number;
    do {
      assert.ok(systemClock.nowMs() < untilMs, 'nothing is acknowledged any more');
      ({ acknowledged } = load.ledger);
      await systemClock.sleep(QUIET_MS);
    } while (load.ledger.acknowledged !== acknowledged);
    let looks = 0;
    for (;;) {
      assert.ok(systemClock.nowMs() < untilMs, 'somebody is forced out in time');
      await systemClock.sleep(100);
      const seen = load.ledger.acknowledged;
      if ((group(await rokka.headStatus())?.changes.length ?? 0) > 0) break;
      assert.equal(seen, acknowledged, 'nothing is acknowledged by three');
      looks++;
    }
    assert.ok(looks > 0, 'it was looked at while nobody was forced out');
  }
});
