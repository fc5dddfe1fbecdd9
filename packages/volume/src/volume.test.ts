import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber, must } from '@rokka/kernel';
import { PageWriter, rawMtr } from './testing/page-writer.ts';
import { SixNodes } from './testing/six-nodes.ts';

test('what is durable is read back, by this writer and by the next', async () => {
  await using six = await SixNodes.start();
  const first = await six.writer();
  const pages = new PageWriter(first.volume);
  for (let i = 0; i < 100; i++) await six.run(pages.write(i % 10, `text ${i}`));
  await six.run(first.volume.whenDurable(first.volume.applied));
  assert.equal(first.volume.durable, first.volume.applied);
  const raw = await six.run(first.volume.read(asPageNumber(9)));
  assert.equal(Buffer.from(raw?.subarray(0, 7) ?? []).toString(), 'text 99');
  assert.equal(await six.run(first.volume.read(asPageNumber(50))), undefined, 'a page never written');
  six.kill(first);
  const second = await six.writer();
  assert.equal(second.volume.durable, first.volume.applied);
  const again = new PageWriter(second.volume);
  for (let page = 0; page < 10; page++) assert.equal(await six.run(again.text(page, 7)), `text ${90 + page}`);
});

async function filled(six: SixNodes, options: { texts?: number; pages?: number } = {}) {
  const writer = await six.writer();
  const pages = new PageWriter(writer.volume);
  const { texts = 30, pages: spread = 10 } = options;
  for (let i = 0; i < texts; i++) await six.run(pages.write(i % spread, `text ${i} `));
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  return { ...writer, pages };
}

for (const [what, gone] of [
  ['two nodes of different zones', [1, 4]],
  ['two full members', [0, 2]],
  ['one zone', [2, 3]],
] as const) {
  test(`with ${what} dead commits, reads and recoveries go on`, async () => {
    await using six = await SixNodes.start();
    const first = await filled(six);
    for (const i of gone) six.crash(i);
    for (let i = 0; i < 20; i++) await six.run(first.pages.commit(i % 10, `later ${i} `), 2_000);
    six.kill(first);
    const second = await six.writer();
    const again = new PageWriter(second.volume);
    for (let page = 0; page < 10; page++)
      assert.equal(await six.run(again.text(page, 8)), `later ${10 + page}`);
    await six.run(again.commit(3, 'second  '), 2_000);
  });
}

test('with three nodes dead a commit waits, and goes on when one returns', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const i of [0, 1, 2]) six.crash(i);
  await six.pass(50);
  const commit = writer.pages.commit(1, 'waits');
  assert.ok(await six.isStuck(commit, 5_000), 'three tails and a full one are no write quorum');
  await six.up(1);
  await six.run(commit, 3_000);
  const { volume } = writer;
  assert.equal(volume.durable, volume.applied);
});

test('the three full members alone are a write quorum', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  for (const i of [1, 3, 5]) six.crash(i);
  await six.run(writer.pages.commit(1, 'full'), 2_000);
});

test('a recovery waits for a read quorum and says for which', async () => {
  await using six = await SixNodes.start();
  six.kill(await filled(six));
  for (const i of [0, 2, 4, 5]) six.crash(i);
  await assert.rejects(six.run(six.begin({ recoverTimeoutMs: 3_000 }).opened), (error: unknown) => {
    const { code, detail } = error as { code: string; detail: Record<string, unknown> };
    assert.equal(code, 'VOLUME_NO_QUORUM');
    assert.deepEqual(detail['members'], ['n0', 'n2', 'n4', 'n5']);
    return true;
  });
  const later = six.begin();
  assert.ok(await six.isStuck(later.opened, 5_000));
  await six.up(0);
  await six.up(4);
  const { volume } = await six.run(later.opened);
  assert.equal(await six.run(new PageWriter(volume).text(9, 8)), 'text 29 ');
});

test('a node that was away catches up by gossip, and the log below it may go then', async () => {
  await using six = await SixNodes.start();
  const writer = await filled(six);
  six.crash(2);
  for (let i = 0; i < 400; i++) {
    await six.run(writer.pages.write(i % 10, `${i} `.repeat(60)));
    if (i % 20 === 0) await six.run(writer.volume.whenDurable(writer.volume.applied));
  }
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  await six.pass(3_000);
  const floors = () => [0, 1, 3, 4, 5].map((i) => must(six.status(i).segments[0]).logFloor);
  const before = floors();
  assert.ok(
    before.every((floor) => floor <= 30),
    `dropped what node 2 lacks: ${before.join()}`,
  );
  const { durable } = writer.volume;
  await six.up(2);
  await six.pass(5_000);
  assert.equal(must(writer.volume.status().groups[0]?.members[2]).scl, durable);
  for (let i = 0; i < 300; i++) await six.run(writer.pages.commit(i % 10, `${i} `.repeat(60)));
  await six.pass(3_000);
  for (let i = 0; i < 300; i++) await six.run(writer.pages.commit(i % 10, `${i}+`.repeat(60)));
  for (const floor of floors()) assert.ok(floor > 430, `the log below ${floor} is all that may go`);
});

test('a second writer fences the first for good', async () => {
  await using six = await SixNodes.start();
  const first = await filled(six);
  const second = await six.writer();
  const pages = new PageWriter(second.volume);
  await six.run(pages.commit(1, 'second'));
  const { durable } = first.volume;
  const late = first.pages.write(1, 'first again');
  await six.run(late);
  await assert.rejects(six.run(first.volume.whenDurable(first.volume.applied)), { code: 'VOLUME_FENCED' });
  assert.throws(() => first.volume.append(rawMtr([1]), 1), { code: 'VOLUME_FENCED' });
  await assert.rejects(six.run(first.volume.read(asPageNumber(1))), { code: 'VOLUME_FENCED' });
  await assert.rejects(six.run(first.volume.grow(500)), { code: 'VOLUME_FENCED' });
  assert.equal(first.volume.durable, durable);
  assert.deepEqual(
    first.failures.map(({ code }) => code),
    ['VOLUME_FENCED'],
  );
  await six.pass(3_000);
  assert.equal(await six.run(pages.text(1, 6)), 'second');
  assert.deepEqual(second.failures, []);
});

test('a paused writer wakes up fenced, and what it had in flight is never acknowledged', async () => {
  await using six = await SixNodes.start();
  const first = await filled(six);
  await six.run(first.pages.write(1, 'in flight'));
  await six.run(first.pages.write(2, 'in flight'));
  const waiting = first.volume.whenDurable(first.volume.applied);
  const { durable } = first.volume;
  six.pause(first);
  await six.pass(100);
  const second = await six.writer();
  const pages = new PageWriter(second.volume);
  const kept = await six.run(pages.text(1, 9));
  await six.run(pages.commit(3, 'second'));
  six.resume(first);
  await assert.rejects(six.run(waiting), { code: 'VOLUME_FENCED' });
  await six.pass(2_000);
  assert.equal(first.volume.durable, durable);
  const { volume } = await six.writer();
  const third = new PageWriter(volume);
  assert.equal(await six.run(third.text(1, 9)), kept, 'late records are annulled for ever');
  assert.equal(await six.run(third.text(3, 6)), 'second');
});

test('a writer that is taken over while it idles learns it from its next read', async () => {
  await using six = await SixNodes.start();
  const first = await filled(six);
  await six.pass(3_000);
  await six.writer();
  assert.deepEqual(first.failures, []);
  await assert.rejects(six.run(first.volume.read(asPageNumber(1)), 1_000), { code: 'VOLUME_FENCED' });
  assert.equal(first.failures.length, 1);
});

test('a writer that is taken over while it idles learns it from a node that comes back', async () => {
  await using six = await SixNodes.start();
  const first = await filled(six);
  six.crash(5);
  await six.pass(50);
  const second = await six.writer();
  assert.deepEqual(first.failures, []);
  await six.up(5);
  await six.run(new PageWriter(second.volume).commit(1, 'second'));
  await six.pass(3_000);
  assert.deepEqual(
    first.failures.map(({ code }) => code),
    ['VOLUME_FENCED'],
  );
});

test('a writer that finds at growth that it was taken over stops', async () => {
  await using six = await SixNodes.start();
  const first = await filled(six);
  six.pause(first);
  const second = await six.writer();
  six.resume(first);
  await assert.rejects(six.run(first.volume.grow(100)), { code: 'VOLUME_FENCED' });
  assert.equal(first.failures.length, 1);
  await six.run(second.volume.grow(100));
  assert.equal(second.volume.mappedPages, 128);
});
