import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawMtr } from './testing/page-writer.ts';
import { SixNodes, type Writer } from './testing/six-nodes.ts';

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

test('on a crowded machine two members get several ships in one, a moment later', async () => {
  const commits = 20;
  await using six = await SixNodes.start({ delayMs: () => 0 });
  const writer = await six.writer({ crowded: true });
  const { volume } = writer;
  const behind = () => {
    const { members } = volume.status().groups[0];
    return members.filter(({ scl }) => (scl ?? 0) < (volume.applied as number)).length;
  };
  append(writer);
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(1_000);
  const before = volume.status().shipped.shippedWrites;
  let waited = 0;
  for (let i = 0; i < commits; i++) {
    append(writer);
    await six.run(volume.whenDurable(volume.applied));
    assert.ok(behind() <= 2, `${behind()} of six are behind`);
    if (behind() === 2) waited++;
  }
  await six.pass(10);
  assert.equal(behind(), 0);
  assert.ok(waited > commits / 2, `${waited} of ${commits} commits had two members behind`);
  const writes = (volume.status().shipped.shippedWrites - before) / commits;
  assert.ok(writes >= 4 && writes <= 5, `${writes} network writes a commit`);
});

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
