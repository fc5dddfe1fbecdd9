/**
 * Random work through a page cache on a volume of several small groups, while nodes lose power and come back within what
 * is survivable and the writer is killed at any moment, recovery included. After each recovery the volume must stand at
 * exactly one mini-transaction boundary that is not below what was reported durable, and every page must be what the
 * oracle says of that boundary.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, SeededRandom } from '@rokka/kernel';
import { assertPagesAgree, disturbNodes, live, Oracle, PAGES_PER_GROUP } from './testing/crash-work.ts';
import { NODES, SixNodes, type Writer } from './testing/six-nodes.ts';

const SEEDS = 120;
const SEEDS_EACH = 10;

/** Kills openings on their way, with nodes coming and going, until one has succeeded. */
async function recover(six: SixNodes, random: SeededRandom): Promise<Writer> {
  for (let tries = random.below(3); tries > 0; tries--) {
    const opening = six.begin();
    await six.pass(random.below(25));
    if (random.chance(0.5)) await disturbNodes(six, random);
    await six.pass(random.below(10));
    six.kill(opening);
  }
  const opening = six.begin();
  await six.pass(random.below(10));
  if (random.chance(0.3)) await disturbNodes(six, random);
  await six.pass(random.below(30));
  while (NODES.filter((i) => !six.isUp(i)).length > 2) await six.up(must(NODES.find((i) => !six.isUp(i))));
  return six.run(opening.opened);
}

async function simulate(seed: number): Promise<Oracle> {
  const random = new SeededRandom(seed);
  await using six = await SixNodes.start({
    seed,
    pagesPerGroup: PAGES_PER_GROUP,
    allFull: random.chance(0.2),
    delayMs: () => random.below(4),
  });
  const oracle = new Oracle();
  for (let lives = 2 + random.below(3); lives > 0; lives--) {
    const writer = await recover(six, random);
    oracle.recovered(writer.volume.durable);
    await assertPagesAgree(six, writer, oracle);
    await live(six, random, { writer, oracle });
  }
  for (const i of NODES) await six.up(i);
  const last = await six.writer();
  oracle.recovered(last.volume.durable);
  await assertPagesAgree(six, last, oracle);
  await assertConverges(six, last);
  return oracle;
}

/** All that live converge while the writer is silent (aurora.md I16). */
async function assertConverges(six: SixNodes, writer: Writer): Promise<void> {
  await six.pass(4_000);
  for (const { pg, members } of writer.volume.status().groups)
    for (const { node, fenced, lagLsn } of members)
      assert.ok(fenced && lagLsn === 0, `${node} of group ${pg} lags by ${lagLsn}, fenced ${fenced}`);
}

const total = { dropped: 0, keptUnknown: 0 };

// A few tests, so that a machine that has much else to do stays within the time that a test may take.
for (let first = 1; first <= SEEDS; first += SEEDS_EACH) {
  const last = first + SEEDS_EACH - 1;
  test(`nothing durable is lost and nothing else comes back, seeds ${first} to ${last}`, async () => {
    for (let seed = first; seed <= last; seed++) {
      try {
        const { dropped, keptUnknown } = await simulate(seed);
        total.dropped += dropped;
        total.keptUnknown += keptUnknown;
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

test('those seeds met what they are for: mini-transactions dropped, and kept that nobody was told of', () => {
  assert.ok(total.dropped > SEEDS / 3 && total.keptUnknown > SEEDS, JSON.stringify(total));
});
