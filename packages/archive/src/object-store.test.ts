/** What an archive relies on, of every kind of store. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asLsn, asPgIndex } from '@rokka/kernel';
import { layerKey } from './layer.ts';
import type { ObjectStore } from './object-store.ts';
import { storeKinds } from './testing/store-kinds.ts';

const timeout = 60_000;
const text = (...parts: string[]) => parts.map((part) => Buffer.from(part));

for (const [kind, open] of Object.entries(storeKinds)) {
  describe(`a store of the kind ${kind}`, { timeout }, () => {
    async function using(work: (store: ObjectStore) => Promise<void>): Promise<void> {
      await using resources = new AsyncDisposableStack();
      await work(await open(resources));
    }
    const read = async (store: ObjectStore, key: string, at: number, length: number) =>
      Buffer.from(await store.read(key, at, length)).toString();
    const keys = async (store: ObjectStore, prefix: string) =>
      (await store.list(prefix)).map(({ key }) => key);

    test('an object is its parts, one after the other, and another put replaces it', () =>
      using(async (store) => {
        await store.put('volumes/a/one', text('Kri', '', 'stall'));
        assert.equal(await read(store, 'volumes/a/one', 0, 8), 'Kristall');
        await store.put('volumes/a/one', text('Eis'));
        assert.deepEqual(await store.list(''), [{ key: 'volumes/a/one', sizeBytes: 3 }]);
        assert.equal(await read(store, 'volumes/a/one', 0, 3), 'Eis');
        await assert.rejects(store.read('volumes/a/one', 0, 8), { code: 'ARCHIVE_DAMAGED' });
      }));

    test('ranges: within, to the end, empty; past the end it is damaged', () =>
      using(async (store) => {
        await store.put('one', text('Schneeflocke'));
        assert.equal(await read(store, 'one', 3, 4), 'neef');
        assert.equal(await read(store, 'one', 11, 1), 'e');
        for (const at of [0, 5, 12]) assert.equal(await read(store, 'one', at, 0), '');
        for (const [at, length] of [
          [11, 2],
          [12, 1],
          [500, 3],
        ] as const)
          await assert.rejects(store.read('one', at, length), { code: 'ARCHIVE_DAMAGED' });
      }));

    test('what is not there is told apart from what is damaged', () =>
      using(async (store) => {
        await store.put('one', text('x'));
        for (const key of ['two', 'on', 'one1', 'one/1'])
          for (const length of [0, 1])
            await assert.rejects(store.read(key, 0, length), { code: 'ARCHIVE_NO_OBJECT' });
      }));

    test('an object without parts, and with empty ones, is there', () =>
      using(async (store) => {
        await store.put('none', []);
        await store.put('empty', text('', ''));
        assert.deepEqual(await store.list(''), [
          { key: 'empty', sizeBytes: 0 },
          { key: 'none', sizeBytes: 0 },
        ]);
        assert.equal(await read(store, 'none', 0, 0), '');
        await assert.rejects(store.read('none', 0, 1), { code: 'ARCHIVE_DAMAGED' });
      }));

    test('a listing has what begins so, in the order of the bytes, wherever the prefix ends', () =>
      using(async (store) => {
        const all = ['a/b/1', 'a/b/10', 'a/b/2', 'a/b-c', 'a/bc/1', 'a/B', 'ab', 'b'];
        for (const key of all) await store.put(key, text(key));
        for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'a/b/1', 'a/b/10', 'a/b/100', 'c', 'a/b/1/'])
          assert.deepEqual(
            await keys(store, prefix),
            all.filter((key) => key.startsWith(prefix)).sort(),
            prefix,
          );
      }));

    test('a listing has all, however many', () =>
      using(async (store) => {
        const all = Array.from({ length: 1_050 }, (_, i) => `many/${String(i).padStart(5, '0')}`);
        for (let left = all.toReversed(); left.length > 0; left = left.slice(64))
          await Promise.all(left.slice(0, 64).map((key) => store.put(key, text('x'))));
        assert.deepEqual(await keys(store, 'man'), all);
      }));

    test('removed is removed, also twice, and before it was there', () =>
      using(async (store) => {
        await store.remove('volumes/a/one');
        await store.put('volumes/a/one', text('x'));
        await store.put('volumes/a/one2', text('x'));
        await store.remove('volumes/a/one');
        await store.remove('volumes/a/one');
        assert.deepEqual(await keys(store, ''), ['volumes/a/one2']);
        await assert.rejects(store.read('volumes/a/one', 0, 1), { code: 'ARCHIVE_NO_OBJECT' });
      }));

    test('an object that is larger than any layer, of many parts', () =>
      using(async (store) => {
        const parts = Array.from({ length: 5_000 }, (_, i) => Buffer.alloc(8_000, i % 251));
        await store.put('large', parts);
        assert.deepEqual(await store.list('large'), [{ key: 'large', sizeBytes: 40_000_000 }]);
        for (const i of [0, 1_234, 4_999])
          assert.deepEqual(Buffer.from(await store.read('large', i * 8_000, 8_000)), parts[i]);
        const whole = Buffer.from(await store.read('large', 0, 40_000_000));
        assert.ok(whole.equals(Buffer.concat(parts)));
      }));

    test('of puts at once one wins, whole', () =>
      using(async (store) => {
        const contents = Array.from({ length: 16 }, (_, i) => Buffer.alloc(100_000, i + 1));
        await Promise.all(contents.map((content) => store.put('contested', [content])));
        const [{ sizeBytes }] = await store.list('contested');
        const found = Buffer.from(await store.read('contested', 0, sizeBytes));
        assert.ok(contents.some((content) => content.equals(found)));
        assert.deepEqual(await keys(store, ''), ['contested']);
      }));

    test('keys as layers, descriptors and timelines have them come back as they were', () =>
      using(async (store) => {
        const volume = 'volume-0123456789abcdef';
        const span = {
          after: asLsn(7),
          through: asLsn(2 ** 52),
          readableFrom: asLsn(9),
          toldBefore: asLsn(8),
        };
        const part = { pg: asPgIndex(3), ...span, firstPage: 0, endPage: 2_560 };
        const all = [
          layerKey(volume, { kind: 'log', ...part }),
          layerKey(volume, { kind: 'pages', ...part }),
          `volumes/${volume}/archive.json`,
          `volumes/${volume}/times/00497182-0000000001`,
        ].sort();
        for (const key of all) await store.put(key, text(key));
        assert.deepEqual(await keys(store, `volumes/${volume}/`), all);
        for (const key of all) assert.equal(await read(store, key, 0, key.length), key);
      }));
  });
}
