/** Several volumes cut at one moment: the heads' side and the other, without processes, while programs write to all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SetCut } from '@rokka/databases';
import { type Lsn, SeededRandom, VirtualClock } from '@rokka/kernel';
import { ConsistentCut, HOLD_MS } from '../processes/consistent-cut.ts';
import { cutSet, type SetMember } from './snapshot-set.ts';

/** A volume whose LSNs are the clock of everything that was written to it. */
class StandInVolume {
  readonly name: string;
  readonly cut: ConsistentCut;
  /** What a program wrote, by LSN: how much of the other volumes it had seen. */
  readonly writes: (readonly number[])[] = [];
  held = false;
  /** What it is asked for and does not answer. */
  deaf: string | undefined;
  archivedFrom = 0 as Lsn;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;

  constructor(name: string, clock: VirtualClock, random: SeededRandom) {
    this.name = name;
    this.#clock = clock;
    this.#random = random;
    this.cut = new ConsistentCut({
      clock,
      gate: { hold: () => (this.held = true), release: () => (this.held = false) },
      point: () => this.writes.length as Lsn,
      archive: async (lsn) => (lsn < this.archivedFrom ? this.archivedFrom : lsn),
    });
  }

  /** Asked over a channel that takes a while. */
  readonly head = {
    ask: async (what: string): Promise<unknown> => {
      await this.#clock.sleep(this.#random.below(20));
      if (this.deaf === what) await this.#clock.sleep(HOLD_MS);
      const answer = await this.cut.duties[what as keyof typeof this.cut.duties]();
      await this.#clock.sleep(this.#random.below(20));
      return answer;
    },
  };
}

class Bench {
  readonly clock = new VirtualClock();
  readonly volumes: StandInVolume[];
  /** Moments of which it was said that they are past. */
  readonly told: SetCut[] = [];
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.volumes = ['a', 'b', 'c'].map((name) => new StandInVolume(name, this.clock, this.#random));
  }

  /** Of these as well, that nobody has open. */
  cut(closed: readonly SetMember[] = []) {
    const { clock, volumes, told } = this;
    const onCut = async (cut: SetCut) => void told.push(cut);
    return this.run(cutSet([...volumes, ...closed], { archiveMs: 1_000, clock, onCut }));
  }

  /**
   * Programs write, each time having seen all that was answered before. What was begun before a hold may be done and answered while
   * it lasts.
   */
  async run<T>(work: Promise<T>): Promise<T> {
    const settled = Promise.allSettled([work]);
    const state = { over: false };
    void settled.then(() => (state.over = true));
    let underWay: { volume: StandInVolume; seen: readonly number[]; doneMs: number }[] = [];
    while (!state.over) {
      const nowMs = this.clock.nowMs();
      for (const { volume, seen, doneMs } of underWay) if (doneMs <= nowMs) volume.writes.push(seen);
      underWay = underWay.filter(({ doneMs }) => doneMs > nowMs);
      const volume = this.volumes[this.#random.below(this.volumes.length)];
      const seen = this.volumes.map(({ writes }) => writes.length);
      if (!volume.held) underWay.push({ volume, seen, doneMs: nowMs + 1 + this.#random.below(20) });
      this.clock.advanceTo(nowMs + 1);
      for (let turn = 0; turn < 3; turn++) await new Promise((done) => setImmediate(done));
    }
    return work;
  }
}

test('no point has what came after something that another lacks, and everybody goes on', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bench = new Bench(seed);
    const { points, cut: moment } = await bench.cut();
    assert.deepEqual(bench.told, [moment]);
    assert.ok(moment.heldMs > 0 && moment.heldMs < HOLD_MS);
    const cut = bench.volumes.map(({ name }) => points[name]);
    for (const [at, { writes, held }] of bench.volumes.entries()) {
      assert.equal(held, false);
      for (const seen of writes.slice(0, cut[at]))
        assert.ok(
          seen.every((count, other) => count <= cut[other]),
          `seed ${seed}: ${seen.join(' ')} is in the snapshot, which ends at ${cut.join(' ')}`,
        );
    }
  }
});

test('a volume that let go by itself, or began anew, takes the point of all with it', async () => {
  const late = new Bench(1);
  late.volumes[1].deaf = 'cut';
  await assert.rejects(late.cut(), { code: 'ROKKA_HOLD_OVER' });
  assert.deepEqual(
    late.volumes.map(({ held }) => held),
    [false, false, false],
  );
  const dead = new Bench(2);
  dead.volumes[2].deaf = 'release';
  await assert.rejects(dead.cut(), { code: 'ROKKA_HOLD_OVER' });
  const gap = new Bench(3);
  gap.volumes[0].archivedFrom = 1_000_000 as Lsn;
  await assert.rejects(gap.cut(), { code: 'ROKKA_CUT_LOST' });
});

test('a hold ends when nobody comes back to it', async () => {
  const { clock, volumes } = new Bench(1);
  const [{ cut }] = volumes;
  await cut.duties.hold();
  clock.advanceTo(HOLD_MS - 1);
  assert.equal(volumes[0].held, true);
  // Another one who comes gets the whole time.
  await cut.duties.hold();
  clock.advanceTo(2 * HOLD_MS - 2);
  assert.equal(volumes[0].held, true);
  clock.advanceTo(2 * HOLD_MS);
  assert.equal(volumes[0].held, false);
  await assert.rejects(cut.duties.cut(), { code: 'ROKKA_HOLD_OVER' });
  await assert.rejects(cut.duties.release(), { code: 'ROKKA_HOLD_OVER' });
  await assert.rejects(cut.duties['archive-cut'](), { code: 'ROKKA_CUT_LOST' });
  // A head that ends is not held any more: unmounting asks the filesystem, too.
  await cut.duties.hold();
  cut[Symbol.dispose]();
  assert.equal(volumes[0].held, false);
  await assert.rejects(cut.duties.hold(), { code: 'ROKKA_HOLD_OVER' });
  assert.equal(volumes[0].held, false);
});

test('volumes that nobody has open end where they ended, or there is no set', async () => {
  const bench = new Bench(1);
  const ends = [7, 7] as Lsn[];
  const closed = { name: 'closed', endOf: async () => ends.shift() };
  const { points } = await bench.cut([closed]);
  assert.equal(points.closed, 7);
  ends.push(7 as Lsn, 8 as Lsn);
  await assert.rejects(bench.cut([closed]), { code: 'ROKKA_CUT_LOST' });
  await assert.rejects(bench.cut([closed]), { code: 'ROKKA_SET_UNFINISHED' });
});
