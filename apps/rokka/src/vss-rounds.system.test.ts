/**
 * Snapshots in the middle of work, again and again: what is restored of each keeps what its application promises. ROKKA_VSS_ROUNDS says how often; once
 * where nobody does.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemClock, systemRandom } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { dataPaths } from './data-directory.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { InstanceUnderTest } from './testing/instance-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { entriesOf, PROGRAM, scriptsFor } from './testing/two-volume-application.ts';
import { type PairSnapshot, VolumePair } from './testing/volume-pair.ts';
import { whySkipped } from './testing/why-skipped.ts';

const ROUNDS = Number(process.env['ROKKA_VSS_ROUNDS'] ?? 1);
const skip = whySkipped({ root: true });
const timeout = 600_000 + ROUNDS * 180_000;
const WORKS_MS = 60_000;
const LOOK_AGAIN_MS = 20;
/** Between two snapshots, and between those of one volume and the other. */
const WORK_MS_MAX = 1_500;

/** It has entered something: what a snapshot shows before is nothing. */
async function works(file: string): Promise<void> {
  const untilMs = systemClock.nowMs() + WORKS_MS;
  while (!fs.existsSync(file) || fs.statSync(file).size === 0) {
    assert.ok(systemClock.nowMs() < untilMs, 'the application does not begin');
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

test(
  `an application with its files on two volumes, ${ROUNDS} rounds with its scripts, and as many without`,
  { skip, timeout },
  async (t) => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const instance = await InstanceUnderTest.of(await CloudUnderTest.start(rokka, port));
    await instance.mayMakeSnapshots();
    const pair = await VolumePair.attach(instance.own, { sizeGiB: 1 });
    const [journal, ledger] = pair.directories;
    const control = fs.mkdtempSync(path.join(place.path, 'control-'));
    const child = spawn(process.execPath, [PROGRAM, journal, ledger, control], { stdio: 'inherit' });
    const ended = new Promise((resolve) => child.once('exit', resolve));

    /** Nobody works while nobody asks what is done meanwhile. */
    const restored = async (snapshots: readonly PairSnapshot[]) => {
      child.kill('SIGSTOP');
      const entries = await pair.look(snapshots, ([one, other]) =>
        entriesOf({ journal: one, ledger: other }),
      );
      child.kill('SIGCONT');
      return entries;
    };

    const rounds = async (kind: string) => {
      const seen: { journal: number; ledger: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await systemClock.sleep(systemRandom.below(WORK_MS_MAX));
        const description = `${kind} ${round}`;
        const { Status, StandardErrorContent } = await instance.snapshot({ description });
        assert.equal(Status, kind === 'held' ? 'Success' : 'Failed', StandardErrorContent);
        seen.push(await restored(await pair.described(description)));
      }
      return seen;
    };
    try {
      await works(path.join(ledger, 'ledger'));
      // Nobody speaks for it: one moment of both volumes, and no more.
      for (const entries of await rounds('unheld'))
        assert.ok([0, 1].includes(entries.journal - entries.ledger), JSON.stringify(entries));
      const directory = path.join(dataPaths.agent(place.data), 'scripts');
      for (const [name, text] of Object.entries(scriptsFor(control, [journal, ledger])))
        fs.writeFileSync(path.join(directory, name), text, { mode: 0o700 });
      for (const entries of await rounds('held'))
        assert.equal(entries.journal, entries.ledger, 'nothing was half done');
      // One volume after the other: what others do, and what it is worth.
      let apart = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await systemClock.sleep(systemRandom.below(WORK_MS_MAX));
        const entries = await restored(await pair.apart({ pauseMsMax: WORK_MS_MAX }));
        if (![0, 1].includes(entries.journal - entries.ledger)) apart++;
      }
      t.diagnostic(`one volume after the other: ${apart} of ${ROUNDS} copies do not fit together`);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    await rokka.stop();
  },
);
