import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber, CodedError, must } from '@rokka/kernel';
import { PageWriter, pageWrite, rawMtr } from './testing/page-writer.ts';
import { NODES, SixNodes, type Writer } from './testing/six-nodes.ts';

const MIB = 1024 * 1024;
/** The least that a memory network allows: one frame of 8 MiB and its head. */
const SEND_LIMIT_BYTES = 8 * MIB + 64;

async function opened(six: SixNodes, outstandingBytesMax = 32 * MIB): Promise<Writer> {
  return six.writer({ outstandingBytesMax });
}

/** Appends mini-transactions of about 1 MiB without letting time pass. */
function burst(writer: Writer, mebibytes: number): void {
  for (let i = 0; i < mebibytes; i++) {
    const pages = Array.from({ length: 128 }, (_, page) => page % 64);
    writer.volume.append(rawMtr(pages, { bytes: 8_000, fill: i + 1 }), pages.length);
  }
}

const big = {
  tuning: { logFileBytes: 2 * MIB, logBatchBytes: MIB, logBytes: 256 * MIB, segmentLogBytes: 256 * MIB },
};

test('a burst larger than every send buffer is not lost: it becomes durable and reads back', async () => {
  await using six = await SixNodes.start({ ...big, sendLimitBytes: SEND_LIMIT_BYTES });
  const writer = await opened(six);
  burst(writer, 10);
  await six.run(writer.volume.whenDurable(writer.volume.applied), 20_000);
  const page = must(await six.run(writer.volume.read(asPageNumber(5))));
  assert.equal(page[100], 10);
});

test('nor is one that was appended while all nodes were away, and goes to the last four when they come', async () => {
  await using six = await SixNodes.start({ ...big, sendLimitBytes: SEND_LIMIT_BYTES });
  const writer = await opened(six);
  for (const i of NODES) six.crash(i);
  await six.pass(20);
  burst(writer, 10);
  await six.pass(100);
  for (const i of [0, 1, 2, 3]) await six.up(i);
  await six.run(writer.volume.whenDurable(writer.volume.applied), 20_000);
});

test('when outstandingBytesMax is reached writers wait, and go on when there is room', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six, 64 * 1024);
  const pages = new PageWriter(writer.volume);
  await six.run(pages.commit(1, 'first'));
  for (const i of [0, 1, 2]) six.crash(i);
  await six.pass(20);
  let written = 0;
  const work = (async () => {
    for (let i = 0; i < 400; i++) {
      await pages.write(i % 20, `${i} `.repeat(200));
      written++;
    }
  })();
  assert.ok(await six.isStuck(work, 2_000));
  const { outstandingBytes } = writer.volume.status();
  assert.ok(outstandingBytes > 48 * 1024 && outstandingBytes <= 64 * 1024, `${outstandingBytes}`);
  assert.ok(written < 200);
  await six.up(1);
  await six.run(work);
  await six.run(writer.volume.whenDurable(writer.volume.applied));
});

test('a waiting writer hears of the end', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six, 4 * 1024);
  for (const i of [0, 1, 2]) six.crash(i);
  writer.volume.append(rawMtr([1], { bytes: 4_000 }), 1);
  const room = writer.volume.whenRoom(1_000, 1);
  const durable = writer.volume.whenDurable(writer.volume.applied);
  const closed = writer.volume[Symbol.asyncDispose]();
  await assert.rejects(six.run(room), { code: 'VOLUME_CLOSED' });
  await assert.rejects(six.run(durable), { code: 'VOLUME_CLOSED' });
  await six.run(closed);
  assert.deepEqual(writer.failures, []);
});

test('a node that takes everything and says nothing costs bounded memory, stalls nobody, and is dropped', async () => {
  await using six = await SixNodes.start({ ...big, sendLimitBytes: SEND_LIMIT_BYTES });
  const writer = await opened(six);
  burst(writer, 1);
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  six.hold(writer, 3);
  for (let i = 0; i < 11; i++) {
    burst(writer, 1);
    await six.run(writer.volume.whenDurable(writer.volume.applied), 500);
    const { bufferedBytes } = must(writer.volume.status().groups[0]?.members[3]);
    assert.ok(bufferedBytes <= SEND_LIMIT_BYTES, `${bufferedBytes}`);
  }
  const member = () => must(writer.volume.status().groups[0]?.members[3]);
  assert.ok(member().bufferedBytes > 4 * MIB);
  await six.pass(12_000);
  assert.equal(member().up, false);
  six.heal(writer, 3);
  await six.pass(8_000);
  assert.deepEqual([member().up, member().fenced, member().scl], [true, true, writer.volume.durable]);
});

test('while the disks of three nodes are full commits wait, and go on when there is space', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume);
  await six.run(pages.commit(1, 'before'));
  const full = () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  for (const i of [0, 1, 2]) six.disks[i].onAccess = full;
  for (let i = 0; i < 200; i++) await six.run(pages.write(i % 20, `${i} `.repeat(150)));
  assert.ok(await six.isStuck(writer.volume.whenDurable(writer.volume.applied), 15_000));
  for (const i of [0, 1, 2]) six.disks[i].onAccess = undefined;
  await six.run(writer.volume.whenDurable(writer.volume.applied), 10_000);
  await six.pass(8_000);
  for (const { fenced, lagLsn } of must(writer.volume.status().groups[0]).members)
    assert.deepEqual([fenced, lagLsn], [true, 0]);
});

test('all six restart at once with records in flight: the writer that lives sends them again', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume);
  for (let i = 0; i < 50; i++) {
    const ticket = await six.run(pages.apply([pageWrite(i % 20, `text ${i} `), pageWrite(30, `text ${i} `)]));
    if (i === 20) await six.run(writer.volume.whenDurable(ticket));
    if (i === 30) await six.pass(0.5);
    if (i === 40) for (const node of NODES) six.crash(node);
  }
  for (const node of NODES) await six.up(node);
  await six.run(writer.volume.whenDurable(writer.volume.applied), 5_000);
  six.kill(writer);
  const { volume } = await six.writer();
  assert.equal(await six.run(new PageWriter(volume).text(30, 8)), 'text 49 ');
});

test('a read is hedged: a silent full member is not waited for', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume, { frames: 8 });
  await six.run(pages.commit(1, 'hedged'));
  for (const silent of [0, 2, 4]) {
    six.hold(writer, silent);
    const startedMs = six.clock.nowMs();
    for (let i = 0; i < 5; i++) {
      const content = must(await six.run(writer.volume.read(asPageNumber(1))));
      assert.equal(Buffer.from(content.subarray(0, 6)).toString(), 'hedged');
    }
    assert.ok(six.clock.nowMs() - startedMs < 200, `${six.clock.nowMs() - startedMs} ms`);
    six.heal(writer, silent);
    await six.pass(100);
  }
});

test('a read waits for full members, and gives up with the reason', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume);
  await six.run(pages.commit(1, 'patient'));
  for (const i of [0, 2, 4]) six.crash(i);
  const read = writer.volume.read(asPageNumber(1));
  assert.ok(await six.isStuck(read, 10_000));
  await six.up(2);
  assert.ok(await six.run(read, 3_000));
  six.crash(2);
  await assert.rejects(six.run(writer.volume.read(asPageNumber(1))), { code: 'VOLUME_UNREADABLE' });
});

test('pages are read together; one that nobody can read holds up none of the others', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume);
  const numbers = [1, 2, 3, 4, 5].map(asPageNumber);
  await six.run(pages.apply(numbers.map((page) => pageWrite(page, `page ${page}`))));
  await six.run(writer.volume.whenDurable(writer.volume.applied));
  const textOf = (content: Uint8Array | undefined) => Buffer.from(must(content).subarray(0, 6)).toString();
  const read = await six.run(Promise.all(writer.volume.readMany(numbers)));
  assert.deepEqual(
    read.map(textOf),
    numbers.map((page) => `page ${page}`),
  );
  const requests: number[] = [];
  for (const i of [0, 2, 4]) {
    const store = six.store(i);
    const whole = store.read.bind(store);
    store.read = (message) => {
      requests.push(message.pages.length);
      const at = message.pages.indexOf(asPageNumber(3));
      if (at === 0) throw new CodedError('STORAGE_PAGE_UNKNOWN', 'rotten');
      return whole(at < 0 ? message : { ...message, pages: message.pages.slice(0, at) });
    };
  }
  const settled = writer.volume.readMany(numbers);
  const others = settled.filter((_, at) => at !== 2);
  const unreadable = assert.rejects(settled[2], { code: 'VOLUME_UNREADABLE' });
  assert.deepEqual(
    (await six.run(Promise.all(others), 1_000)).map(textOf).join(),
    'page 1,page 2,page 4,page 5',
  );
  assert.deepEqual(requests.slice(0, 4), [5, 3, 3, 3], 'the rest is asked of everybody');
  await six.run(unreadable);
});

test('a small cache on the volume reads back what it had to let go', async () => {
  await using six = await SixNodes.start();
  const writer = await opened(six);
  const pages = new PageWriter(writer.volume, { frames: 8 });
  for (let i = 0; i < 120; i++) await six.run(pages.write(i % 60, `text ${i} `, (i * 50) % 8_000));
  for (let i = 60; i < 120; i++)
    assert.equal(await six.run(pages.text(i % 60, 8, (i * 50) % 8_000)), `text ${i} `.slice(0, 8));
  assert.ok(pages.cache.usage.evictions > 100);
});
