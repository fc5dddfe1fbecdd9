/** Snapshots and restores of a cluster under test. */
import assert from 'node:assert/strict';
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import type { VolumeRecord } from '@rokka/volume';
import { openClusterRegistry } from '../cluster-registry.ts';
import { askControl, CONTROL } from '../control.ts';
import type { PastAnswer, PastRequest } from '../databases/database-past.ts';
import { DatabasesUnderTest } from './databases-under-test.ts';
import { RokkaCommand } from './rokka-command.ts';
import type { RokkaUnderTest } from './rokka-under-test.ts';

const PATIENCE_MS = 180_000;

/** A table, and a query whose answer changes with anything in it. */
export const FILL = 'create table rows as select n, md5(n::text) as text from generate_series(1, 20000) n';
export const SUM = `select count(*)::int as n, md5(string_agg(text, '' order by n)) as sum from rows`;

export class Past {
  readonly rokka: RokkaUnderTest;
  readonly databases: DatabasesUnderTest;

  constructor(rokka: RokkaUnderTest) {
    this.rokka = rokka;
    this.databases = new DatabasesUnderTest(rokka);
  }

  get data(): string {
    return this.rokka.place.data;
  }

  async command(...words: string[]): Promise<string> {
    const end = await RokkaCommand.run(['database', ...words, '--data', this.data]);
    assert.equal(end.status, 0, `${words.join(' ')}: ${end.err}`);
    return end.out;
  }

  ask(request: PastRequest): Promise<PastAnswer> {
    return askControl(this.data, CONTROL.PAST, request);
  }

  async create(name: string): Promise<void> {
    await this.command('create', name, '--port', String(await freePort()));
  }

  async snapshot(name: string): Promise<string> {
    return must(/snap-[0-9a-f]+/.exec(await this.command('snapshot', name)))[0];
  }

  async restore(name: string, ...flags: string[]): Promise<void> {
    await this.command('restore', name, '--port', String(await freePort()), ...flags);
  }

  /** Waits until the database needs no archive any more. */
  async ownsAll(name: string): Promise<void> {
    const { volumeId } = must(await this.databases.find(name));
    for (const untilMs = systemClock.nowMs() + PATIENCE_MS; ;) {
      await using registry = await openClusterRegistry(this.data);
      const record = await registry.get<VolumeRecord>(`volumes/${volumeId}`);
      if (record && !record.value.base) return;
      assert.ok(systemClock.nowMs() < untilMs, `${name} still has pages in the archive alone`);
      await systemClock.sleep(200);
    }
  }

  /** Waits until the snapshot can be restored from. */
  async taken(snapshot: string): Promise<void> {
    for (const untilMs = systemClock.nowMs() + PATIENCE_MS; ;) {
      const { snapshots } = await this.ask({ action: 'snapshots' });
      const { phase } = must(snapshots.find(({ name }) => name === snapshot));
      if (phase === 'available') return;
      assert.equal(phase, 'creating');
      assert.ok(systemClock.nowMs() < untilMs, 'the snapshot is never there');
      await systemClock.sleep(100);
    }
  }

  async killEverything(): Promise<void> {
    this.rokka.kill([this.rokka.up.pid]);
    await this.rokka.up.ended();
    await this.rokka.again();
  }
}
