import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, SeededRandom, type PgIndex } from '@rokka/kernel';
import { readRecordHeader, recordLengthAt } from '@rokka/quorum';
import { decodeShips, MESSAGE } from '@rokka/storage';
import type { Lane } from '@rokka/transport';
import { rawMtr } from './testing/page-writer.ts';
import { nodeId, SixNodes, type Writer, zoneOf } from './testing/six-nodes.ts';

const MEMBERS = 6;

/** A writer at rest: what it ships from here on is counted. */
async function atRest(six: SixNodes): Promise<Writer & { ships(): number }> {
  const writer = await six.writer();
  const { volume } = writer;
  append(writer);
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(1_000);
  const before = volume.status().shipped.shippedWrites;
  return { ...writer, ships: () => (volume.status().shipped.shippedWrites - before) / MEMBERS };
}

function append({ volume }: Writer, bytes = 64): void {
  volume.append(rawMtr([volume.applied % 50], { bytes }), 1);
}

/** One turn of the event loop, and no time. */
async function turn({ clock }: SixNodes): Promise<void> {
  clock.advanceTo(clock.nowMs());
  await new Promise((resolve) => setImmediate(resolve));
}

test('the first record after a wait leaves at the end of its turn, and the wait for it costs no second ship', async () => {
  await using six = await SixNodes.start();
  const writer = await atRest(six);
  for (let i = 1; i <= 20; i++) {
    append(writer);
    await turn(six);
    assert.equal(writer.ships(), i);
    await six.run(writer.volume.whenDurable(writer.volume.applied));
    assert.equal(writer.ships(), i);
  }
});

test('what nobody waits for gathers, and leaves all the same', async () => {
  await using six = await SixNodes.start();
  const writer = await atRest(six);
  const { volume } = writer;
  for (let i = 0; i < 200; i++) {
    append(writer);
    await turn(six);
  }
  assert.equal(writer.ships(), 1, 'the first, and no time has passed since');
  await six.pass(100);
  assert.equal(writer.ships(), 2);
  assert.equal(volume.durable, volume.applied);
});

test('a wait sends what has gathered at once', async () => {
  await using six = await SixNodes.start();
  const writer = await atRest(six);
  const { volume } = writer;
  for (let i = 0; i < 20; i++) append(writer);
  await turn(six);
  for (let i = 0; i < 20; i++) append(writer);
  const durable = volume.whenDurable(volume.applied);
  await turn(six);
  assert.equal(writer.ships(), 2);
  await six.run(durable);
});

test('much leaves without a wait and without a pause', async () => {
  await using six = await SixNodes.start();
  const writer = await atRest(six);
  for (let i = 0; i < 100; i++) {
    append(writer, 4_000);
    await turn(six);
  }
  const ships = writer.ships();
  assert.ok(ships >= 5 && ships <= 12, `${ships} ships of 400 kB`);
});

test('who waits for room does not wait for more to gather', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer({ outstandingBytesMax: 1_000 });
  const { volume } = writer;
  while (volume.hasRoom(200, 1)) append(writer, 100);
  const startedMs = six.clock.nowMs();
  await six.run(volume.whenRoom(200, 1));
  assert.ok(six.clock.nowMs() - startedMs < 20, `${six.clock.nowMs() - startedMs} ms`);
});

/** Makes commits, one after the other; answers which members that are whole were behind after each, and how many network writes they took. */
async function behindAfterEach(six: SixNodes, writer: Writer, commits: number) {
  const { volume } = writer;
  const behind = () => {
    const { members } = volume.status().groups[0];
    return members.filter(({ scl, hydrating }) => !hydrating && (scl ?? 0) < (volume.applied as number));
  };
  const before = volume.status().shipped.shippedWrites;
  const seen: string[][] = [];
  for (let i = 0; i < commits; i++) {
    append(writer);
    await six.run(volume.whenDurable(volume.applied));
    seen.push(behind().map(({ node }) => node));
  }
  await six.pass(30);
  assert.deepEqual(behind(), []);
  return { seen, writes: (volume.status().shipped.shippedWrites - before) / commits };
}

test('on a crowded machine two members get several ships in one, a moment later', async () => {
  const commits = 20;
  await using six = await SixNodes.start({ delayMs: () => 0 });
  const writer = await six.writer({ crowded: true });
  append(writer);
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  await six.pass(1_000);
  const { seen, writes } = await behindAfterEach(six, writer, commits);
  for (const nodes of seen) assert.ok(nodes.length <= 2, `${nodes.join()} of six are behind`);
  const waited = seen.filter(({ length }) => length === 2).length;
  assert.ok(waited > commits / 2, `${waited} of ${commits} commits had two members behind`);
  assert.ok(writes >= 4 && writes <= 5, `${writes} network writes a commit`);
});

test('who waits for one group waits for all of them, whichever kind it is of there', async () => {
  const random = new SeededRandom(1);
  await using six = await SixNodes.start({ pagesPerGroup: 8, delayMs: () => random.below(20) / 10 });
  const writer = await six.writer({ crowded: true });
  const { volume } = writer;
  await six.run(volume.grow(32));
  for (let page = 0; page < 32; page++) volume.append(rawMtr([page]), 1);
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(1_000);
  const together = new Set<string>();
  for (let i = 0; i < 40; i++) {
    for (let group = 0; group < 4; group++) volume.append(rawMtr([group * 8 + (i % 8)], { bytes: 64 }), 1);
    await six.run(volume.whenDurable(volume.applied));
    const behind = volume
      .status()
      .groups.map(({ members }) => members.filter(({ lagLsn }) => lagLsn !== 0).map(({ node }) => node));
    if (behind.every(({ length }) => length === 2))
      together.add(behind.map((nodes) => nodes.sort().join()).join(' '));
  }
  assert.ok(together.size > 0, 'two wait in each of them');
  for (const nodes of together) assert.equal(new Set(nodes.split(' ')).size, 1, nodes);
});

test('what is appended to several groups in a turn leaves in one message to each member, and is answered by one', async () => {
  const frames: number[] = [];
  await using six = await SixNodes.start({
    pagesPerGroup: 8,
    observer: { sent: (_lane: Lane, { type }) => frames.push(type) },
  });
  const { volume } = await six.writer();
  await six.run(volume.grow(32));
  for (let page = 0; page < 32; page++) volume.append(rawMtr([page]), 1);
  await six.run(volume.whenDurable(volume.applied));
  // Nobody is told of progress for a while.
  await six.pass(2_500);
  frames.length = 0;
  for (let group = 0; group < 4; group++) volume.append(rawMtr([group * 8], { bytes: 64 }), 1);
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(10);
  assert.deepEqual(
    [MESSAGE.SHIP, MESSAGE.ACK].map((wanted) => frames.filter((type) => type === wanted).length),
    [MEMBERS, MEMBERS],
  );
});

for (const sendLimitBytes of [48 * 1024, 1024 * 1024])
  test(`no member is sent a group's records out of order, with room for ${sendLimitBytes} bytes`, async () => {
    const random = new SeededRandom(3);
    const last = new Map<string, number>();
    let sent = 0;
    const check = ({ from, to }: Lane, pg: number, records: Uint8Array) => {
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      for (let at = 0; at < records.length; at += must(recordLengthAt(view, at))) {
        const { lsn } = readRecordHeader(view, at);
        const before = last.get(`${from} ${to} ${pg}`) ?? 0;
        assert.ok(lsn > before, `${to} is sent ${lsn} of group ${pg} after ${before}`);
        last.set(`${from} ${to} ${pg}`, lsn);
        sent++;
      }
    };
    await using six = await SixNodes.start({
      pagesPerGroup: 8,
      sendLimitBytes,
      delayMs: () => random.below(30) / 10,
      observer: {
        sent: (lane: Lane, { type, body }) => {
          if (type === MESSAGE.SHIP)
            for (const { pg, records } of decodeShips(body)) check(lane, pg, records);
        },
      },
    });
    const { volume } = await six.writer({ crowded: true });
    await six.run(volume.grow(32));
    for (let round = 0; round < 30; round++) {
      for (let i = random.below(60); i >= 0; i--)
        volume.append(rawMtr([random.below(32)], { bytes: 1 + random.below(4_000) }), 1);
      if (random.below(2) === 0) await six.run(volume.whenDurable(volume.applied));
      else await six.pass(random.below(8));
    }
    await six.run(volume.whenDurable(volume.applied));
    await six.pass(2_000);
    assert.ok(sent > 4 * 300, `${sent} records were sent`);
    for (const { members } of volume.status().groups)
      for (const { node, lagLsn } of members) assert.equal(lagLsn, 0, node);
  });

for (const changes of [1, 2]) {
  test(`while ${changes} of them ${changes > 1 ? 'are' : 'is'} replaced, that and the newcomer wait, and four are a quorum with either`, async () => {
    const commits = 20;
    await using six = await SixNodes.start({ delayMs: () => 0, spares: 6 });
    const writer = await six.writer({ crowded: true, fleet: () => [] });
    const { volume } = writer;
    append(writer);
    await six.run(volume.whenDurable(volume.applied));
    const changing = new Set<string>();
    for (const [leaves, joins] of [
      [4, 8],
      [5, 11],
    ].slice(0, changes)) {
      const kind = leaves === 4 ? 'full' : 'tail';
      const to = { node: nodeId(joins), kind, zone: zoneOf(joins) } as const;
      await six.run(volume.replacement(0 as PgIndex).begin({ leaves: nodeId(leaves), joins: to }));
      changing.add(nodeId(leaves)).add(nodeId(joins));
    }
    // Who waits is chosen when those who waited have got theirs.
    append(writer);
    await six.pass(20);
    const { seen, writes } = await behindAfterEach(six, writer, commits);
    assert.equal(volume.status().groups[0].members.length, 6 + changes);
    for (const nodes of seen) {
      const others = nodes.filter((node) => !changing.has(node));
      assert.ok(nodes.length <= 2 && others.length <= 2 - changes, `${nodes.join()} are behind`);
    }
    const waited = seen.filter(({ length }) => length === 2).length;
    assert.ok(waited > commits / 2, `${waited} of ${commits} commits had two members behind`);
    // Four, and those who wait; all would be seven or eight.
    assert.ok(writes >= 4 && writes <= 5.5, `${writes} network writes a commit`);
  });
}

test('where one or two do not answer, the others make the quorum, and for a while nobody waits', async () => {
  await using six = await SixNodes.start();
  const writer = await six.writer({ crowded: true });
  const { volume } = writer;
  append(writer);
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(1_000);
  const tails = volume.status().groups[0].members.filter(({ kind }) => kind === 'tail');
  const startedMs = six.clock.nowMs();
  for (const slow of tails.slice(1)) {
    six.network.hold(writer.name, slow.node);
    for (let i = 0; i < 20; i++) {
      append(writer);
      await six.run(volume.whenDurable(volume.applied));
    }
  }
  const tookMs = six.clock.nowMs() - startedMs;
  assert.ok(tookMs < 120, `${tookMs} ms for forty commits`);
});
