/** Databases that begin with what somebody lets go of at the same time. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { DirectoryStore } from '@rokka/archive';
import { Databases, DatabaseSecrets, Snapshots } from '@rokka/databases';
import { asLsn, ByteWriter, crc32, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { operatePast, type RestorePoint } from './database-past.ts';

class Bench implements Disposable {
  #seed = 1;
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-past-'));
  readonly registry = new MemoryRegistry();
  readonly clock = new VirtualClock();
  readonly store = new DirectoryStore(path.join(this.directory, 'archive'));
  readonly databases = this.another();
  readonly snapshots = new Snapshots(this.#records());

  /** As another process has them. */
  another(): Databases {
    return new Databases(this.#records());
  }

  #records() {
    const { registry, clock, directory } = this;
    const random = new SeededRandom(this.#seed++);
    return { registry, clock, secrets: new DatabaseSecrets(directory), random };
  }

  /** With a snapshot. */
  async old(): Promise<{ database: string; snapshot: string }> {
    const record = await this.databases.create({ name: 'old', engine: 'native' });
    const { name } = await this.snapshots.request(record);
    await this.snapshots.settle(name, { phase: 'available', lsn: asLsn(7), takenAtMs: 1 });
    const rows = new ByteWriter(20).u64(1).u64(7);
    const times = rows.u32(crc32(rows.view())).finish();
    await this.store.put(`volumes/${record.volumeId}/times/00000000-0000000001`, [times]);
    return { database: 'old', snapshot: name };
  }

  restore(from: RestorePoint): Promise<unknown> {
    const { databases, snapshots, store } = this;
    return operatePast(
      { action: 'restore', database: { name: 'young' }, from, materialise: false },
      {
        databases,
        snapshots,
        store,
        passwordOf: async () => 'secret',
        connection: () => undefined,
        head: () => undefined,
        endOf: async () => asLsn(7),
      },
    );
  }

  /** Runs before the record of the restored database is written. */
  before(others: () => Promise<unknown>): void {
    const put = this.registry.put.bind(this.registry);
    this.registry.put = async (key, value, revision) => {
      if (key === 'databases/young') await others();
      return put(key, value, revision);
    };
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

test('a database begins with a snapshot, or with a point of another one', async () => {
  for (const what of ['snapshot', 'database'] as const) {
    using bench = new Bench();
    const { database, snapshot } = await bench.old();
    await bench.restore(what === 'snapshot' ? { snapshot } : { database });
    const { desired, source } = await bench.databases.get('young');
    assert.deepEqual([desired, source?.lsn], ['running', 7]);
  }
});

test('one whose beginning went before it kept that itself goes again', async () => {
  using bench = new Bench();
  const { snapshot } = await bench.old();
  bench.before(() => bench.snapshots.remove(snapshot));
  await assert.rejects(bench.restore({ snapshot }), { code: 'DATABASE_NO_SNAPSHOT' });
  assert.equal((await bench.databases.get('young')).desired, 'deleted');

  for (const isMadeAnew of [false, true]) {
    using other = new Bench();
    const { database } = await other.old();
    other.before(async () => {
      await other.databases.remove(database);
      if (isMadeAnew) await other.another().create({ name: database, engine: 'pglite' });
    });
    await assert.rejects(other.restore({ database }), { code: 'DATABASE_NONE' });
    assert.equal((await other.databases.get('young')).desired, 'deleted');
  }
});
