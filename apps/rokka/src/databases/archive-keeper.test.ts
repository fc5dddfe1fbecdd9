/** What the keeper of archives lets go of while databases are made, and copied, beside it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { type ArchivePoint, DirectoryStore } from '@rokka/archive';
import { type DatabaseRecord, type SnapshotRecord, upgradeDatabase } from '@rokka/databases';
import { asLsn, ByteWriter, crc32, VirtualClock, type VolumeId } from '@rokka/kernel';
import { ArchiveKeeper, type ArchiveKeeperOptions } from './archive-keeper.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const OLD = 'vol-old' as VolumeId;
const YOUNG = 'vol-young' as VolumeId;

class Bench implements Disposable {
  readonly clock = new VirtualClock();
  readonly #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-archive-keeper-'));
  readonly store = new DirectoryStore(this.#directory);
  readonly records: DatabaseRecord[] = [];
  readonly kept: SnapshotRecord[] = [];

  keeper(part: Partial<ArchiveKeeperOptions> = {}): ArchiveKeeper {
    const { clock, store, records, kept } = this;
    return new ArchiveKeeper({
      store,
      clock,
      databases: async () => [...records],
      snapshots: async () => [...kept],
      volumes: async () => [],
      log: () => {},
      ...part,
    });
  }

  /** One group: its pages at 100 and 200, and its log up to 300. */
  async archive(volume: VolumeId, base?: ArchivePoint): Promise<void> {
    const text = JSON.stringify({ version: 1, volume, pagesPerGroup: 10, createdAtMs: 0, base });
    await this.#put(volume, 'archive.json', `${text}\n${crcOf(text)}\n`);
    for (const [after, through] of [
      [0, 100],
      [100, 200],
      [200, 300],
    ] as const)
      await this.#put(volume, `log/00000/${lsn(after)}-${lsn(through)}`, 'log');
    for (const at of [100, 200])
      await this.#put(
        volume,
        `pages/00000/${lsn(0)}-${lsn(at)}/0000000000-0000000010-${lsn(at)}-${lsn(at)}`,
        'pages',
      );
  }

  /** @param points wall time and LSN, of the same hour */
  async times(volume: VolumeId, points: readonly (readonly [number, number])[]): Promise<void> {
    const w = new ByteWriter(points.length * 16 + 4);
    for (const [atMs, at] of points) w.u64(atMs).u64(at);
    const rows = w.u32(crc32(w.view())).finish();
    const hour = Math.floor(points[0][0] / (60 * MINUTE_MS));
    await this.store.put(`volumes/${volume}/times/${String(hour).padStart(8, '0')}-0000000001`, [rows]);
  }

  async keysOf(volume: VolumeId): Promise<string[]> {
    return (await this.store.list(`volumes/${volume}/`)).map(({ key }) => key);
  }

  /** `log 0-100`, of what went since. */
  async goneOf(volume: VolumeId, before: readonly string[]): Promise<string[]> {
    const left = await this.keysOf(volume);
    const gone = before.filter((key) => !left.includes(key)).map((key) => key.split('/'));
    return gone.map(([, , kind, , span = '']) => `${kind} ${span.split('-').map(Number).join('-')}`);
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.#directory, { recursive: true });
  }

  async #put(volume: VolumeId, name: string, text: string): Promise<void> {
    await this.store.put(`volumes/${volume}/${name}`, [Buffer.from(text)]);
  }
}

const lsn = (value: number) => String(value).padStart(16, '0');
const crcOf = (text: string) => crc32(Buffer.from(text)).toString(16).padStart(8, '0');
const database = (volumeId: VolumeId, source?: DatabaseRecord['source']): DatabaseRecord => ({
  ...upgradeDatabase({ name: volumeId, engine: 'native', volumeId, createdAtMs: 0 }),
  retentionDays: 1,
  ...(source && { source }),
});
const snapshot = (volumeId: VolumeId) =>
  ({ name: `snap-${volumeId}`, volumeId, phase: 'available', lsn: asLsn(300) }) as SnapshotRecord;

test('what is older than the window goes, and what a database was made from stays', async () => {
  using bench = new Bench();
  await bench.archive(OLD);
  const fromMs = bench.clock.wallMs() - DAY_MS - 15 * MINUTE_MS;
  await bench.times(OLD, [[fromMs - 1, 250]]);
  bench.records.push(database(OLD), database(YOUNG, { archive: OLD, lsn: asLsn(150), materialise: false }));
  const all = await bench.keysOf(OLD);
  await using keeper = bench.keeper();
  await keeper.sweep();
  assert.deepEqual(await bench.goneOf(OLD, all), ['log 0-100']);
  bench.records.pop();
  await keeper.sweep();
  assert.deepEqual(await bench.goneOf(OLD, all), ['log 0-100', 'log 100-200', 'pages 0-100']);
});

test('a window does not move on while a sweep takes its time: somebody may have begun at its end', async () => {
  using bench = new Bench();
  const { clock } = bench;
  await bench.archive(OLD);
  const endMs = clock.wallMs() - DAY_MS;
  await bench.times(OLD, [
    [endMs, 150],
    [endMs + MINUTE_MS, 250],
  ]);
  bench.records.push(database(OLD));
  const all = await bench.keysOf(OLD);
  // The registry has been read; there are many archives to go through before this one.
  const volumes = async () => {
    bench.records.push(database(YOUNG, { archive: OLD, lsn: asLsn(150), materialise: false }));
    clock.advanceTo(clock.nowMs() + 17 * MINUTE_MS);
    return [];
  };
  await using keeper = bench.keeper({ volumes });
  await keeper.sweep();
  assert.deepEqual(await bench.goneOf(OLD, all), []);
});

test('what an archive stands on stays, though that archive was begun after the keeper had looked for archives', async () => {
  using bench = new Bench();
  await bench.archive(OLD);
  const all = await bench.keysOf(OLD);
  const base = { volume: OLD, lsn: asLsn(150), pages: 1 };
  // A clone was archived, copied and deleted meanwhile.
  const snapshots = async () => {
    await bench.archive(YOUNG, base);
    return [snapshot(YOUNG)];
  };
  await using keeper = bench.keeper({ snapshots });
  await keeper.sweep();
  assert.deepEqual(await bench.goneOf(OLD, all), ['log 0-100']);
});
