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
