/**
 * Random work through a volume whose writer keeps a log in memory and is killed at any moment, while nodes lose power and come back
 * within what is survivable. Whoever takes over stands exactly where the one before stood: all that was applied is there, whether it had
 * been durable or not. Whoever is killed while it takes over is followed by the next one.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { isCoded, must, SeededRandom } from '@rokka/kernel';
import { ramFile, type RamFile } from './ram-file.ts';
import { RamLog } from './ram-log.ts';
import { assertPagesAgree, disturbNodes, live, Oracle, PAGES_PER_GROUP } from './testing/crash-work.ts';
import { PageWriter } from './testing/page-writer.ts';
import { NODES, SixNodes } from './testing/six-nodes.ts';

const SEEDS = 60;
const SEEDS_EACH = 10;

const ramFiles = ([one, other]: [number, number]): [RamFile, RamFile] => [ramFile(one), ramFile(other)];
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-ram-log-'));
after(() => fs.rmSync(directory, { recursive: true }));

/** Files that outlive the writers, as whoever starts them holds them. */
function openFiles(name: string): { fds: [number, number] } & Disposable {
  const open = (half: number) => fs.openSync(path.join(directory, `${name}-${half}`), 'w+');
  const fds: [number, number] = [open(0), open(1)];
  return { fds, [Symbol.dispose]: () => fds.forEach((fd) => fs.closeSync(fd)) };
}

async function powerForFour(six: SixNodes): Promise<void> {
  while (NODES.filter((i) => !six.isUp(i)).length > 2) await six.up(must(NODES.find((i) => !six.isUp(i))));
}

const seen = { tookOver: 0, replayed: 0, cutShort: 0, refused: 0 };

async function simulate(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  using files = openFiles(`seed-${seed}`);
  await using six = await SixNodes.start({
    seed,
    pagesPerGroup: PAGES_PER_GROUP,
    delayMs: () => random.below(4),
  });
  const oracle = new Oracle();
  let writer = await six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)) }).opened);
  for (let lives = 2 + random.below(4); lives > 0; lives--) {
    await live(six, random, { writer, oracle });
    const cutShort = random.chance(0.2);
    if (cutShort) {
      const attempt = six.begin({ ramLog: new RamLog(ramFiles(files.fds)), takesOver: true });
      await six.pass(1 + random.below(12));
      six.kill(attempt);
    }
    if (random.chance(0.4)) await disturbNodes(six, random);
    await powerForFour(six);
    const { opened } = six.begin({ ramLog: new RamLog(ramFiles(files.fds)), takesOver: true });
    const next = await six.run(opened).catch((error: unknown) => error);
    if (isCoded(next, 'VOLUME_NOT_RESUMABLE')) {
      assert.ok(cutShort, next.message);
      seen.refused++;
      writer = await six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)) }).opened);
      oracle.recovered(writer.volume.durable);
    } else {
      if (next instanceof Error) throw next;
      writer = next as typeof writer;
      seen.tookOver++;
      if (cutShort) seen.cutShort++;
      if (oracle.pendingBeyond(oracle.durable) > 0) seen.replayed++;
      oracle.tookOver(writer.volume.durable);
    }
    await assertPagesAgree(six, writer, oracle);
  }
}

for (let first = 1; first <= SEEDS; first += SEEDS_EACH) {
  const last = first + SEEDS_EACH - 1;
  test(`whoever takes over has all that was applied, seeds ${first} to ${last}`, async () => {
    for (let seed = first; seed <= last; seed++) {
      try {
        await simulate(seed);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

test('the seeds above take over, with something to append again and without, also from who was taking over', () => {
  assert.ok(seen.tookOver > 50 && seen.replayed > 30 && seen.cutShort > 20, JSON.stringify(seen));
});

test('nobody takes over once somebody else has written', async () => {
  using files = openFiles('another');
  await using six = await SixNodes.start();
  const first = await six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)) }).opened);
  await six.run(new PageWriter(first.volume).commit(1, 'first'));
  six.kill(first);
  const stranger = await six.writer();
  await six.run(new PageWriter(stranger.volume).commit(1, 'other'));
  six.kill(stranger);
  await assert.rejects(
    six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)), takesOver: true }).opened),
    (error) => isCoded(error, 'VOLUME_NOT_RESUMABLE'),
  );
});

test('nobody takes over from a writer that has failed, or has ended by itself', async () => {
  using files = openFiles('failed');
  await using six = await SixNodes.start();
  const takeOver = () =>
    six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)), takesOver: true }).opened);
  const refused = (error: unknown) => isCoded(error, 'VOLUME_NOT_RESUMABLE');
  const closed = await six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)) }).opened);
  await six.run(closed.volume[Symbol.asyncDispose]());
  await assert.rejects(takeOver(), refused);
  const fenced = await six.run(six.begin({ ramLog: new RamLog(ramFiles(files.fds)) }).opened);
  await six.writer();
  await assert.rejects(six.run(new PageWriter(fenced.volume).commit(1, 'late')));
  assert.equal(fenced.failures.length, 1);
  await assert.rejects(takeOver(), refused);
});

test('what was carried out and not answered is known to whoever takes over, and to the next one', async () => {
  using files = openFiles('origins');
  await using six = await SixNodes.start();
  const ramLog = new RamLog(ramFiles(files.fds));
  const first = await six.run(six.begin({ ramLog }).opened);
  ramLog.origin = 42n;
  await six.run(new PageWriter(first.volume).commit(1, 'asked'));
  six.kill(first);
  for (let i = 0; i < 2; i++) {
    const next = new RamLog(ramFiles(files.fds));
    const writer = await six.run(six.begin({ ramLog: next, takesOver: true }).opened);
    assert.deepEqual([next.isSettled(42n), next.isSettled(43n)], [true, false]);
    six.kill(writer);
  }
});
