/** A volume that began as a clone: pages of its base until they are written, its own from then on, on the storage nodes alone in the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asLsn, asPageNumber, must, PAGE_SIZE, SeededRandom, type VolumeId, type Zone } from '@rokka/kernel';
import { adoptPage, type BasePages } from './inheritance.ts';
import { pageWrite, PageWriter } from './testing/page-writer.ts';
import { NODES, nodeId, SixNodes } from './testing/six-nodes.ts';
import { Volume } from './volume.ts';

const CLONE = 'clone-1' as VolumeId;
const PAGES = 100;
const ZONES = ['a', 'a', 'b', 'b', 'c', 'c'] as Zone[];

/** Every third page was never written. */
class Base implements BasePages {
  reads = 0;
  requests = 0;

  readMany(pages: readonly number[]): Promise<Uint8Array | undefined>[] {
    this.requests++;
    return pages.map((page) => this.page(page));
  }

  async page(page: number): Promise<Uint8Array | undefined> {
    this.reads++;
    if (page % 3 === 0) return undefined;
    const content = new Uint8Array(PAGE_SIZE);
    content.set(Buffer.from(`base ${page}`), 0);
    content.set(Buffer.from('end'), PAGE_SIZE - 3);
    return content;
  }
}

async function cloned(six: SixNodes): Promise<void> {
  await Volume.create(six.registry, {
    volumeId: CLONE,
    name: 'clone',
    pagesPerGroup: 64,
    groupsMax: 8,
    allFull: false,
    nodes: NODES.map((i) => ({ node: nodeId(i), zone: must(ZONES[i]) })),
    base: { volume: 'volume-1' as VolumeId, lsn: asLsn(7), pages: PAGES },
  });
}

async function opened(six: SixNodes, base: BasePages, frames = 64) {
  const writer = await six.writer({ volumeId: CLONE, openBase: async () => base });
  return { writer, pages: new PageWriter(writer.volume, { frames }) };
}

test('a page of the base is read until it is written, and then whole from the nodes, after a crash as well', async () => {
  await using six = await SixNodes.start();
  await cloned(six);
  const base = new Base();
  const first = await opened(six, base);
  assert.ok(first.writer.volume.mappedPages >= PAGES, 'what the base has is mapped');
  assert.equal(await six.run(first.pages.text(4, 6)), 'base 4');
  assert.equal(await six.run(first.pages.text(3, 6)), '\0\0\0\0\0\0');
  await six.run(first.pages.commit(4, 'own', 5));
  await six.run(first.pages.commit(6, 'new'));
  // A beginning of its own does not need what was there.
  await six.run(first.pages.apply([{ ...pageWrite(7, 'anew'), init: true }]));
  await six.run(first.writer.volume.whenDurable(first.writer.volume.applied));
  six.kill(first.writer);
  for (const i of NODES) six.crash(i);
  for (const i of NODES) await six.up(i);
  const second = await opened(six, base);
  const reads = base.reads;
  const content = await six.run(second.pages.content(4));
  assert.equal(Buffer.from(content.subarray(0, 8)).toString(), 'base own');
  assert.equal(
    Buffer.from(content.subarray(-3)).toString(),
    'end',
    'what the write did not touch came along',
  );
  assert.equal(await six.run(second.pages.text(6, 3)), 'new');
  assert.equal(await six.run(second.pages.text(7, 6)), 'anew\0\0');
  assert.equal(base.reads, reads, 'none of them was asked of the base');
  assert.equal(await six.run(second.pages.text(8, 6)), 'base 8');
});

test('what nobody has written since the clone was made is asked of the base alone, and side by side in one request', async () => {
  await using six = await SixNodes.start();
  await cloned(six);
  const base = new Base();
  const { writer, pages } = await opened(six, base);
  await six.run(pages.commit(11, 'own', 5));
  for (const i of NODES) six.crash(i);
  const some = [10, 12, 13].map(asPageNumber);
  const { requests } = base;
  const contents = await six.run(Promise.all(writer.volume.readMany(some)));
  assert.deepEqual(
    contents.map((content) => content && Buffer.from(content.subarray(0, 7)).toString()),
    ['base 10', undefined, 'base 13'],
  );
  assert.equal(base.requests, requests + 1);
  for (const i of NODES) await six.up(i);
  const own = await six.run(writer.volume.read(asPageNumber(11)));
  assert.equal(Buffer.from(must(own).subarray(0, 8)).toString(), 'base own', 'what was written is not');
});

test('against a twin, over random writes, evictions and crashes', async () => {
  for (const seed of [1, 2, 3]) {
    await using six = await SixNodes.start({ seed });
    await cloned(six);
    const random = new SeededRandom(seed);
    const base = new Base();
    const twin = await Promise.all(
      Array.from({ length: PAGES }, async (_, page) => (await base.page(page)) ?? new Uint8Array(PAGE_SIZE)),
    );
    for (let life = 0; life < 3; life++) {
      const { writer, pages } = await opened(six, base, 8);
      for (let i = 0; i < 60; i++) {
        const page = random.below(PAGES);
        const offset = random.below(PAGE_SIZE - 8);
        const init = random.chance(0.1);
        if (random.chance(0.4)) {
          assert.deepEqual(
            await six.run(pages.content(page)),
            new Uint8Array(must(twin[page])),
            `page ${page}`,
          );
          continue;
        }
        await six.run(pages.apply([{ ...pageWrite(page, `w${i}`, offset), init }]));
        if (init) must(twin[page]).fill(0);
        must(twin[page]).set(Buffer.from(`w${i}`), offset);
      }
      await six.run(writer.volume.whenDurable(writer.volume.applied));
      six.kill(writer);
    }
  }
});

test('adoption beside reads and writes takes nothing back, and leaves nothing behind', async () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    await using six = await SixNodes.start({ seed, delayMs: () => 1 + (seed % 3) });
    await cloned(six);
    const random = new SeededRandom(seed);
    const base = new Base();
    const twin = await Promise.all(
      Array.from({ length: PAGES }, async (_, page) => (await base.page(page)) ?? new Uint8Array(PAGE_SIZE)),
    );
    const { writer, pages } = await opened(six, base, 8);
    const { volume } = writer;
    const adopt = async () => {
      for (let first = 0; first < PAGES; first += 16) {
        const some = Array.from({ length: Math.min(16, PAGES - first) }, (_, i) => asPageNumber(first + i));
        const contents = await Promise.all(volume.readMany(some));
        for (const [i, content] of contents.entries())
          if (content) await adoptPage(volume, must(some[i]), content);
      }
      await volume.whenDurable(volume.applied);
      await volume.ownsAll();
    };
    const work = async () => {
      for (let i = 0; i < 150; i++) {
        const page = random.below(PAGES);
        const offset = random.below(PAGE_SIZE - 8);
        if (random.chance(0.5)) {
          assert.deepEqual(await pages.content(page), new Uint8Array(must(twin[page])), `page ${page}`);
          continue;
        }
        await pages.apply([pageWrite(page, `w${i}`, offset)]);
        must(twin[page]).set(Buffer.from(`w${i}`), offset);
      }
      await volume.whenDurable(volume.applied);
    };
    await six.run(Promise.all([adopt(), work()]));
    assert.equal(volume.base, undefined);
    six.kill(writer);
    const next = await six.writer({ volumeId: CLONE });
    const reader = new PageWriter(next.volume);
    for (const [page, content] of twin.entries())
      assert.deepEqual(
        await six.run(reader.content(page)),
        new Uint8Array(content),
        `seed ${seed}, page ${page}`,
      );
  }
});

test('a write of nothing adopts a page; when all are adopted the base is gone', async () => {
  await using six = await SixNodes.start();
  await cloned(six);
  const base = new Base();
  const { writer, pages } = await opened(six, base);
  for (let page = 0; page < PAGES; page++)
    await six.run(pages.apply([{ page: asPageNumber(page), offset: 0, bytes: new Uint8Array(0) }]));
  const { volume } = writer;
  await six.run(volume.whenDurable(volume.applied));
  assert.equal(volume.base?.pages, PAGES);
  await six.run(volume.ownsAll());
  assert.equal(volume.base, undefined);
  six.kill(writer);
  const next = await six.writer({ volumeId: CLONE });
  const reader = new PageWriter(next.volume);
  for (const page of [1, 2, 3, 98]) {
    const expected = page % 3 === 0 ? '\0\0\0\0\0\0' : `base ${page}`.slice(0, 6);
    assert.equal(await six.run(reader.text(page, 6)), expected);
  }
});

test('a clone without its base is not opened', async () => {
  await using six = await SixNodes.start();
  await cloned(six);
  await assert.rejects(six.writer({ volumeId: CLONE }), { code: 'VOLUME_NO_BASE' });
});

test('the tap gives the durable log in order, and holds it on the nodes', async () => {
  await using six = await SixNodes.start();
  const { volume } = await six.writer({ holdsLog: true });
  const pages = new PageWriter(volume);
  for (let round = 0; round < 40; round++)
    for (let page = 0; page < 20; page++) await six.run(pages.write(page, `${round} ${page} `.repeat(40)));
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(3_000);
  const { tap } = volume;
  const through = tap.lastDurableOf(0 as never);
  assert.equal(through, volume.durable);
  const floors = () =>
    NODES.map((i) => six.store(i).segments.all).map(([segment]) => must(segment).chain.base);
  assert.deepEqual(new Set(floors()), new Set([0]), 'nothing is dropped while it is held');
  const all = await six.run(tap.fetchLog(0 as never, { after: asLsn(0), through, limitBytes: 1 << 22 }));
  assert.ok(all.length > 40 * 20 * 56);
  tap.holdLog(0 as never, through);
  for (let round = 0; round < 60; round++)
    for (let page = 0; page < 20; page++) await six.run(pages.write(page, `${round} ${page}!`.repeat(40)));
  await six.run(volume.whenDurable(volume.applied));
  await six.pass(3_000);
  assert.ok(Math.max(...floors()) > 0, `log is dropped when it is let go: ${floors().join()}`);
  const gone = tap.fetchLog(0 as never, { after: asLsn(0), through: asLsn(5), limitBytes: 1 << 20 });
  await assert.rejects(six.run(gone), { code: 'VOLUME_LOG_DROPPED' });
});
