import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, suite, test } from 'node:test';
import { isCoded, must, SeededRandom, type Epoch, type Lsn } from '@rokka/kernel';
import { ramFile, type RamFile } from './ram-file.ts';
import { RamLog } from './ram-log.ts';
import { Sealer } from './sealer.ts';
import { rawMtr } from './testing/page-writer.ts';

const ramFiles = ([one, other]: [number, number]): [RamFile, RamFile] => [ramFile(one), ramFile(other)];
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-ram-log-'));
after(() => fs.rmSync(directory, { recursive: true }));
const EPOCH = 7 as Epoch;
const NEXT = 8 as Epoch;

/** A writer as the log sees it, and the dumb twin: every mini-transaction in a list. */
class Bench implements Disposable {
  readonly fds: [number, number];
  readonly log: RamLog;
  readonly kept: { lastLsn: Lsn; bytes: Buffer; sizeBytes: number }[] = [];
  readonly #sealer = new Sealer({
    volume: { volumeEpoch: EPOCH, pagesPerGroup: 1000, groupsMax: 1 },
    lastVolumeLsn: 0 as Lsn,
    lastPgLsn: [0 as Lsn],
  });
  lastLsn = 0 as Lsn;

  constructor(name: string) {
    this.fds = [0, 1].map((half) => fs.openSync(path.join(directory, `${name}-${half}`), 'w+')) as [
      number,
      number,
    ];
    this.log = new RamLog(ramFiles(this.fds));
    this.log.begin(EPOCH);
  }

  keep(pages: number[], durable: number): void {
    const mtr = rawMtr(pages);
    this.#sealer.seal(mtr, pages.length, (this.lastLsn + 1) as Lsn);
    this.lastLsn = (this.lastLsn + pages.length) as Lsn;
    const recordCount = pages.length;
    this.log.keep(mtr, { recordCount, lastLsn: this.lastLsn, durable: durable as Lsn });
    this.kept.push({ lastLsn: this.lastLsn, bytes: Buffer.from(mtr), sizeBytes: mtr.length });
  }

  /** As the next writer finds it, which recovered the volume to `vdl`. */
  next(vdl: number): Buffer[] {
    const found = takeOver(new RamLog(ramFiles(this.fds)), { volumeEpoch: NEXT, vdl: vdl as Lsn });
    return found.map(({ bytes }) => Buffer.from(bytes));
  }

  after(vdl: number): Buffer[] {
    return this.kept.filter(({ lastLsn }) => lastLsn > vdl).map(({ bytes }) => bytes);
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds) fs.closeSync(fd);
  }
}

/** As a writer does that opens the volume right after. */
function takeOver(log: RamLog, of: { epochBefore?: Epoch; volumeEpoch: Epoch; vdl: Lsn }) {
  const { epochBefore = EPOCH, volumeEpoch, vdl } = of;
  log.claim({ epochBefore, volumeEpoch });
  return log.takeOver({ volumeEpoch, vdl });
}

const notResumable = (error: unknown) => isCoded(error, 'VOLUME_NOT_RESUMABLE');

suite('a log in memory', () => {
  test('has all that is not durable, whatever became durable meanwhile', () => {
    for (let seed = 1; seed <= 25; seed++) {
      using bench = new Bench(`random-${seed}`);
      const random = new SeededRandom(seed);
      let durable = 0;
      for (let i = random.below(16_000); i >= 0; i--) {
        bench.keep(
          Array.from({ length: 1 + random.below(4) }, () => random.below(999)),
          durable,
        );
        if (random.chance(0.2))
          durable = Math.max(durable, bench.kept[random.below(bench.kept.length)].lastLsn);
        durable = Math.max(durable, bench.kept.at(-4000)?.lastLsn ?? 0);
      }
      // What recovery finds is at the end of a mini-transaction, and not below what was durable.
      const possible = bench.kept.map(({ lastLsn }) => lastLsn).filter((lsn) => lsn >= durable);
      const vdl = random.pick(possible.length > 0 ? possible : [bench.lastLsn]);
      assert.deepEqual(bench.next(vdl), bench.after(vdl), `seed ${seed}`);
    }
  });

  test('stays small while what it holds becomes durable', () => {
    using bench = new Bench('small');
    for (let i = 0; i < 20_000; i++) bench.keep([i % 900, 901], Math.max(0, bench.lastLsn - 100));
    const usedBytes = bench.fds.reduce((sum, fd) => sum + fs.fstatSync(fd).blocks * 512, 0);
    const writtenBytes = bench.kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    assert.ok(writtenBytes > 3 * 2 ** 20 && usedBytes < 2 ** 20, `${usedBytes} bytes of ${writtenBytes}`);
  });

  test('torn at any byte of the last entry, lacks that one and no other', () => {
    using bench = new Bench('torn');
    for (let i = 0; i < 5; i++) bench.keep([i, i + 1], 0);
    const whole = fs.readFileSync(path.join(directory, 'torn-0'));
    const tail = 32 + must(bench.kept.at(-1)).sizeBytes;
    for (let cut = 0; cut < tail; cut++) {
      const torn = Buffer.from(whole);
      torn.fill(0, torn.length - tail + cut);
      fs.writeSync(bench.fds[0], torn, 0, torn.length, 0);
      // A record may end in zeroes: then nothing is torn.
      if (torn.equals(whole)) continue;
      assert.deepEqual(bench.next(0), bench.after(0).slice(0, -1), `cut at ${cut}`);
    }
  });

  test('torn at any byte over an entry from before, does not say that what asked for the torn one was carried out', () => {
    using bench = new Bench('torn-over');
    const file = path.join(directory, 'torn-over-0');
    for (let i = 0; i < 3; i++) bench.keep([i], 0);
    const before = fs.readFileSync(file);
    bench.log.origin = 42n;
    bench.keep([3], bench.lastLsn);
    const whole = fs.readFileSync(file);
    assert.equal(whole.length, before.length, 'it lies over the first of them');
    for (let cut = 0; cut < whole.length; cut++) {
      const torn = Buffer.concat([whole.subarray(0, cut), before.subarray(cut)]);
      fs.writeSync(bench.fds[0], torn, 0, torn.length, 0);
      const next = new RamLog(ramFiles(bench.fds));
      const found = takeOver(next, { volumeEpoch: NEXT, vdl: 3 as Lsn });
      assert.equal(next.isSettled(42n), torn.equals(whole), `cut at ${cut}`);
      assert.equal(found.length, torn.equals(whole) ? 1 : 0, `cut at ${cut}`);
    }
  });

  test('with a hole in it is refused', () => {
    using bench = new Bench('hole');
    for (let i = 0; i < 5; i++) bench.keep([i], 0);
    // The volume ends before what was said to be durable: the first entries are not where they were needed.
    bench.keep([6], 5);
    bench.keep([7], 5);
    assert.throws(() => bench.next(0), notResumable);
  });

  test('is taken over once, by the writer right after', () => {
    using bench = new Bench('once');
    bench.keep([1], 0);
    const late = { epochBefore: NEXT, volumeEpoch: 9 as Epoch, vdl: 0 as Lsn };
    assert.throws(() => takeOver(new RamLog(ramFiles(bench.fds)), late), notResumable);
    const next = new RamLog(ramFiles(bench.fds));
    assert.equal(takeOver(next, { volumeEpoch: NEXT, vdl: 0 as Lsn }).length, 1);
    assert.throws(() => takeOver(new RamLog(ramFiles(bench.fds)), late), notResumable);
    next.tookOver();
    assert.equal(takeOver(new RamLog(ramFiles(bench.fds)), late).length, 0);
  });

  test('may be claimed again where whoever claimed it was killed, and not where somebody else came between', () => {
    using bench = new Bench('claims');
    bench.keep([1], 0);
    const claim = (epochBefore: number) =>
      new RamLog(ramFiles(bench.fds)).claim({
        epochBefore: epochBefore as Epoch,
        volumeEpoch: (epochBefore + 1) as Epoch,
      });
    claim(EPOCH);
    claim(NEXT);
    assert.throws(() => claim(NEXT + 2), notResumable);
    assert.throws(() => claim(NEXT + 3), notResumable, 'a claim that was refused is none');
    assert.equal(
      takeOver(new RamLog(ramFiles(bench.fds)), {
        epochBefore: 9 as Epoch,
        volumeEpoch: 10 as Epoch,
        vdl: 0 as Lsn,
      }).length,
      1,
    );
  });

  test('gives its memory back when it is taken over, and when it ends', () => {
    using bench = new Bench('memory');
    const usedBytes = () => bench.fds.reduce((sum, fd) => sum + fs.fstatSync(fd).size, 0);
    for (let i = 0; i < 5_000; i++) bench.keep([i % 900, 901], 0);
    assert.ok(usedBytes() > 500_000);
    const next = new RamLog(ramFiles(bench.fds));
    takeOver(next, { volumeEpoch: NEXT, vdl: 0 as Lsn });
    assert.equal(usedBytes(), 4096);
  });

  test('that holds nothing of ours is refused', () => {
    const fd = fs.openSync(path.join(directory, 'empty'), 'w+');
    const next = () => takeOver(new RamLog(ramFiles([fd, fd])), { volumeEpoch: NEXT, vdl: 0 as Lsn });
    assert.throws(next, notResumable);
    fs.writeSync(fd, Buffer.alloc(8192, 0xff), 0, 8192, 0);
    assert.throws(next, notResumable);
    fs.closeSync(fd);
  });
});
