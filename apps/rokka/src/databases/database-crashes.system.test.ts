/** Everything is killed in the middle of making and of deleting a database, at several moments: it goes on by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { DatabasesUnderTest } from '../testing/databases-under-test.ts';
import { RokkaUnderTest } from '../testing/rokka-under-test.ts';
import { TestPlace } from '../testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 1_500_000;

/** After the wish was answered: making takes some seconds, deleting less than one. */
const MOMENTS_MS = [
  { create: 0, delete: 0 },
  { create: 300, delete: 30 },
  { create: 1_000, delete: 80 },
  { create: 2_000, delete: 150 },
  { create: 3_500, delete: 300 },
  { create: 5_000, delete: 600 },
];

test('a database is made, and deleted, whenever the power fails', { skip, timeout }, async (t) => {
  await using place = await TestPlace.make();
  await using rokka = await RokkaUnderTest.start(place);
  const databases = new DatabasesUnderTest(rokka);
  const cut = async (afterMs: number) => {
    await systemClock.sleep(afterMs);
    const phase = (await databases.find('one'))?.phase ?? 'gone';
    rokka.kill([rokka.up.pid]);
    await rokka.up.ended();
    await rokka.again();
    return phase;
  };
  for (const moment of MOMENTS_MS) {
    await databases.ask({ action: 'create', database: { name: 'one', port: await freePort() } });
    const made = await cut(moment.create);
    await databases.available('one');
    await databases.query('one', 'create table kept (n int); insert into kept values (1)');
    await databases.ask({ action: 'delete', name: 'one' });
    const deleted = await cut(moment.delete);
    await databases.until('one', 'gone', (found) => found === undefined);
    await databases.untilOnlyMain();
    t.diagnostic(`killed when it was ${made}, and when it was ${deleted}`);
  }
  assert.deepEqual(await rokka.query('select 1 as one'), [{ one: 1 }]);
});
