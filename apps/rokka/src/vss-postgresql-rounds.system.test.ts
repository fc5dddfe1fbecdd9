/**
 * PostgreSQL with its log on a second volume, snapshotted in the middle of work again and again: what is restored of each keeps what was promised to
 * clients, and after a hold there is nothing to recover. The same without a hold, and one volume after the other, beside it. ROKKA_VSS_ROUNDS says
 * how often; once where nobody does.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, systemClock, systemRandom } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { installedPrograms, PostgresServer, REDO_BYTES_MAX } from '@rokka/snapshots/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { InsertLoad } from './testing/insert-load.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { type Bounds, optionsAt, type Worth, worthOf } from './testing/postgres-on-two-volumes.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { TransferLoad } from './testing/transfer-load.ts';
import { type PairSnapshot, VolumePair } from './testing/volume-pair.ts';
import { whySkipped } from './testing/why-skipped.ts';

const programs = installedPrograms().find((found) => found.skip === false);
const skip = whySkipped({ root: true }) || (programs ? false : 'there is no PostgreSQL');
const ROUNDS = Number(process.env['ROKKA_VSS_ROUNDS'] ?? 1);
const timeout = 600_000 + ROUNDS * 180_000;
/** Between two snapshots, and between those of one volume and the other. */
const WORK_MS_MAX = 1_500;
const CLIENTS = 2;
/** The last words say why. */
const FAULT_CHARACTERS = 300;

test(
  `PostgreSQL with its log on a second volume, ${ROUNDS} rounds of each kind`,
  { skip, timeout },
  async (t) => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const instance = await InstanceUnderTest.of(await CloudUnderTest.start(rokka, port));
    await instance.mayMakeSnapshots();
    const pair = await VolumePair.attach(instance.own, { sizeGiB: 4 });
    await using server = await PostgresServer.create(optionsAt(pair.directories, must(programs)));
    await using inserts = await InsertLoad.start(() => server.client(), CLIENTS);
    await using transfers = await TransferLoad.start(() => server.client(), CLIENTS);
    await inserts.acknowledged(100);
    await transfers.acknowledged(100);
    const loads = [inserts, transfers];

    /** Clients work before, meanwhile and for a moment afterwards, and rest while nobody asks what they do. */
    const round = async (snapshots: () => Promise<readonly PairSnapshot[]>) => {
      await systemClock.sleep(systemRandom.below(WORK_MS_MAX));
      const [rows, moved] = [inserts.count, transfers.count];
      const made = await snapshots();
      const bounds: Bounds = {
        rows: { atLeast: rows, atMost: inserts.begun },
        transfers: { atLeast: moved, atMost: transfers.begun },
      };
      await inserts.acknowledged(CLIENTS + 1);
      await Promise.all(loads.map((load) => load.rest()));
      const seen = await pair.look(made, (copies) => worthOf(optionsAt(copies, must(programs)), bounds));
      for (const load of loads) load.goOn();
      return seen;
    };
    const rounds = async (kind: string, snapshots: (name: string) => Promise<readonly PairSnapshot[]>) => {
      const seen: Worth[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        seen.push(await round(() => snapshots(`${kind} ${i}`)));
      }
      const redo = seen.flatMap(({ redoBytes }) => redoBytes ?? []);
      t.diagnostic(`${kind}: ${describeRedo(redo)}`);
      return seen;
    };

    const unheld = await rounds('unheld', () => pair.together());
    for (const { fault } of unheld) assert.equal(fault, undefined);

    const held = await rounds('held', async (description) => {
      const { Status, StandardErrorContent } = await instance.snapshot({ description });
      assert.equal(Status, 'Success', StandardErrorContent);
      const made = await pair.described(description);
      for (const { Tags = [] } of made)
        assert.ok(
          Tags.some(({ Key, Value }) => Key === 'AppConsistent' && Value === 'True'),
          description,
        );
      return made;
    });
    for (const { fault, redoBytes } of held) {
      assert.equal(fault, undefined);
      assert.ok(must(redoBytes) <= REDO_BYTES_MAX, `${redoBytes} bytes of log were read`);
    }

    const apart = await rounds('one volume after the other', () => pair.apart({ pauseMsMax: WORK_MS_MAX }));
    const faults = apart.flatMap(({ fault }) => fault ?? []);
    const unstarted = apart.filter(({ redoBytes }) => redoBytes === undefined).length;
    t.diagnostic(
      `one volume after the other: of ${ROUNDS} copies ${unstarted} do not start, ${faults.length - unstarted} do not keep what was promised`,
    );
    for (const fault of new Set(faults)) t.diagnostic(fault.slice(-FAULT_CHARACTERS));
    await inserts.stop();
    await transfers.stop();
    await server[Symbol.asyncDispose]();
    await rokka.stop();
  },
);

function describeRedo(bytes: readonly number[]): string {
  const sorted = [...bytes].sort((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)];
  return `${sorted.length} copies that started, the median read ${median} bytes of log, and none more than ${sorted.at(-1)}`;
}
