/** Whom a read asks, and when a second one: with members that answer when they are told to. */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import {
  CodedError,
  type Epoch,
  type Lsn,
  must,
  type NodeId,
  PAGE_SIZE,
  type PageNumber,
  SeededRandom,
  VirtualClock,
  type Zone,
} from '@rokka/kernel';
import { settledMembership } from '@rokka/quorum';
import { encodeReadAnswer } from '@rokka/storage';
import type { Group } from './group.ts';
import type { NodeLink } from './node-link.ts';
import { PageReader } from './page-reader.ts';
import { Roster } from './roster.ts';

/** As the router has it while little is known. */
const HEDGE_MS = 10;
const ONE = 1 as Lsn;

interface Asked {
  readonly node: string;
  answer(): void;
  refuse(code: string): void;
}

function bench() {
  const clock = new VirtualClock();
  const asked: Asked[] = [];
  const members = [1, 2, 3, 4, 5, 6].map((of) => ({
    node: `node-${of}` as NodeId,
    address: `node-${of}`,
    zone: 'a' as Zone,
    kind: of <= 3 ? ('full' as const) : ('tail' as const),
  }));
  const roster = new Roster(settledMembership(1 as Epoch, members));
  const content = Buffer.alloc(PAGE_SIZE, 7);
  const linkTo = (_: Group, node: NodeId) => {
    const call = (): Promise<Uint8Array> =>
      new Promise((resolve, reject) => {
        const body = Buffer.concat(encodeReadAnswer([{ pageLsn: ONE, content }]));
        asked.push({
          node,
          answer: () => resolve(body),
          refuse: (code) => reject(new CodedError(code, 'refused')),
        });
      });
    return { call } as unknown as NodeLink;
  };
  const reader = new PageReader({
    clock,
    random: new SeededRandom(1),
    volumeEpoch: 1 as Epoch,
    linkTo,
    sclOf: () => ONE,
    demandAlive() {},
    onTakenOver: assert.fail,
  });
  const group = {
    roster,
    head: () => ({ volume: 'vol', pg: 0, volumeEpoch: 1, membershipEpoch: 1 }),
  } as unknown as Group;
  const read = () =>
    must(reader.read(group, { pages: [5 as PageNumber], readPoint: ONE, requiredScl: ONE })[0]);
  const latencyMs = ({ node }: Asked) => roster.router.latencyMs(roster.placeOf(node as NodeId));
  return { clock, asked, read, latencyMs };
}

test('one that is late is asked beside another one, and whoever answers first counts', async () => {
  const { clock, asked, read } = bench();
  const page = read();
  clock.advanceTo(HEDGE_MS - 1);
  assert.equal(asked.length, 1);
  clock.advanceTo(HEDGE_MS + 1);
  assert.equal(asked.length, 2);
  const [late, second] = asked;
  assert.notEqual(second?.node, late?.node);
  must(second).answer();
  assert.equal(must(await page)[0], 7);
  must(late).answer();
  await setImmediate();
  assert.equal(asked.length, 2);
});

test('where this process stood still, what has arrived meanwhile is taken, and nobody else is asked', async () => {
  const { clock, asked, read } = bench();
  const page = read();
  // The time is up before what has arrived is looked at.
  assert.equal(clock.runNext(HEDGE_MS), true);
  must(asked[0]).answer();
  assert.equal(must(await page)[0], 7);
  clock.advanceTo(10 * HEDGE_MS);
  assert.equal(asked.length, 1);
});

test('one whose answer comes too late for its read point was slow, and has not failed', async () => {
  for (const [code, isBlamed] of [
    ['STORAGE_BELOW_READ_WINDOW', false],
    ['STORAGE_PAGES_DAMAGED', true],
  ] as const) {
    const { clock, asked, read, latencyMs } = bench();
    const page = read();
    clock.advanceTo(HEDGE_MS + 1);
    const [late, other] = asked;
    other.answer();
    await page;
    const before = latencyMs(late);
    late.refuse(code);
    await setImmediate();
    assert.equal(latencyMs(late) > before, isBlamed, code);
  }
});

test('one that refuses while the read waits for it has failed, and the next is asked at once', async () => {
  const { asked, read, latencyMs } = bench();
  const page = read();
  const before = latencyMs(asked[0]);
  asked[0].refuse('STORAGE_BELOW_READ_WINDOW');
  await setImmediate();
  assert.ok(latencyMs(asked[0]) > before);
  asked[1].answer();
  await page;
});
