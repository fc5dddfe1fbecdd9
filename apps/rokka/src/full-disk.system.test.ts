/** A disk that runs full under load: nothing acknowledged is lost, nothing is damaged, and with space it goes on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { systemClock } from '@rokka/kernel';
import { assertIntact } from './testing/integrity.ts';
import type { Ledger } from './testing/ledger.ts';
import { Load } from './testing/load.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { SmallDisk } from './testing/small-disk.ts';
import { TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip =
  (!support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`) || SmallDisk.missing;
const timeout = 900_000;

const COMMITS = 100;
/** An index takes no more of one. */
const BODY_BYTES = 2_560;
const LEAVE_BYTES = 16 * 1024 ** 2;
const QUIET_MS = 3_000;
const FULL_MS = 300_000;
/** A machine that is slow is quiet as well: what is full is said. */
const FULL = 'STORAGE_DISK_FULL: no space left';

/** Until nothing is acknowledged any more. The nodes give back space when they coalesce: that is taken as well. */
async function writeUntilFull(ledger: Ledger, disk: SmallDisk): Promise<void> {
  const untilMs = systemClock.nowMs() + FULL_MS;
  let seen = -1;
  while (ledger.acknowledged > seen) {
    assert.ok(systemClock.nowMs() < untilMs, 'the disk runs full in time');
    seen = ledger.acknowledged;
    disk.fill(LEAVE_BYTES);
    await systemClock.sleep(QUIET_MS);
  }
}

describe('a full disk', { skip: skip ?? false }, () => {
  test('writers wait, nothing is lost, and with space it goes on', { timeout }, async (t) => {
    await using place = await TestPlace.make();
    using disk = SmallDisk.forData(place);
    await using rokka = await RokkaUnderTest.start(place);
    await using load = await Load.make(rokka, COMMITS);
    const { ledger } = load;
    load.start({ bodyBytes: BODY_BYTES });
    await ledger.progress(COMMITS);

    await writeUntilFull(ledger, disk);
    await rokka.up.says(FULL, FULL_MS);
    const atFull = ledger.acknowledged;
    t.diagnostic(`full after ${atFull} entries; errors ${JSON.stringify([...ledger.errors])}`);
    const status = await RokkaCommand.run(['status', '--data', place.data]);
    assert.match(status.out, /^disk .*free some, writers wait/m);
    assert.match(rokka.up.out, /storage node \d: STORAGE_DISK_FULL: no space left/);

    disk.free();
    await ledger.progress(COMMITS, FULL_MS);
    load.assertNoneFailed();
    await load.pause();
    t.diagnostic(await load.verify());
    await assertIntact(rokka);

    // Full once more, and now everything dies: what is on the disk must be enough to come up again, with space or without.
    load.start({ bodyBytes: BODY_BYTES });
    await writeUntilFull(ledger, disk);
    const { nodes, head } = await rokka.status();
    rokka.kill([rokka.up.pid, ...nodes.flatMap(({ pid }) => pid ?? []), ...[head.pid ?? []].flat()]);
    await rokka.up.ended();
    await load.pause();
    await place.assertNothingRuns();
    disk.free();
    await rokka.again();
    t.diagnostic(await load.verify());
    await assertIntact(rokka);
    await rokka.stop();
  });
});
