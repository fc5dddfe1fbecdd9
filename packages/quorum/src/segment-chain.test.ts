import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asEpoch, asLsn, isCoded, SeededRandom } from '@rokka/kernel';
import * as fc from 'fast-check';
import { SegmentChain } from './segment-chain.ts';
import { Truncation, type TruncationRange } from './truncation.ts';

interface Link {
  lsn: number;
  previous: number;
}

const range = (volumeEpoch: number, after: number, through: number): TruncationRange => ({
  volumeEpoch: asEpoch(volumeEpoch),
  after: asLsn(after),
  through: asLsn(through),
});
const accept = (chain: SegmentChain, lsn: number, previous: number) =>
  chain.accept(asLsn(lsn), asLsn(previous));
const chainFrom = (base: number) => new SegmentChain({ base: asLsn(base) });

test('records in order advance the SCL; a hole holds it back until it is filled', () => {
  const chain = chainFrom(100);
  assert.equal(accept(chain, 101, 100), 'appended');
  assert.equal(accept(chain, 107, 105), 'held');
  assert.equal(accept(chain, 105, 103), 'held');
  assert.equal(accept(chain, 112, 110), 'held');
  assert.equal(accept(chain, 105, 103), 'duplicate');
  assert.equal(chain.scl, 101);
  assert.deepEqual(chain.holes(10), [
    { after: 101, through: 103 },
    { after: 107, through: 110 },
  ]);
  assert.deepEqual(chain.holes(1), [{ after: 101, through: 103 }]);
  assert.equal(accept(chain, 103, 101), 'appended');
  assert.equal(chain.scl, 107);
  assert.equal(chain.islandCount, 1);
  assert.equal(accept(chain, 103, 101), 'duplicate');
});

test('a link that disagrees with the chain is named, not followed', () => {
  const chain = chainFrom(100);
  accept(chain, 103, 100);
  accept(chain, 109, 107);
  assert.equal(accept(chain, 105, 101), 'contradicts');
  assert.equal(accept(chain, 108, 107), 'contradicts');
  assert.equal(accept(chain, 104, 104), 'contradicts');
  assert.equal(accept(chain, 102, 103), 'contradicts');
  assert.equal(chain.scl, 103);
});

test('what waits above holes is limited; the record that is next always gets in', () => {
  const chain = new SegmentChain({ base: asLsn(0), islandsMax: 2 });
  assert.equal(accept(chain, 3, 2), 'held');
  assert.equal(accept(chain, 5, 4), 'held');
  assert.equal(accept(chain, 4, 3), 'full');
  assert.equal(accept(chain, 1, 0), 'appended');
  assert.equal(accept(chain, 2, 1), 'appended');
  assert.equal(chain.scl, 3);
  assert.equal(accept(chain, 4, 3), 'appended');
  assert.equal(chain.scl, 5);
});

test('a truncation clips the SCL to the last kept record, and late records in it are refused (traps 7, 8)', () => {
  const chain = chainFrom(0);
  for (const [lsn, previous] of [
    [90, 0],
    [103, 90],
    [105, 103],
  ])
    accept(chain, lsn, previous);
  accept(chain, 109, 107);
  chain.settle(asLsn(100));
  assert.equal(chain.truncate([range(2, 104, 204)]), true);
  assert.equal(chain.scl, 103);
  assert.equal(chain.islandCount, 0);
  assert.equal(accept(chain, 105, 103), 'annulled');
  assert.equal(accept(chain, 107, 105), 'annulled');
  assert.equal(accept(chain, 206, 203), 'annulled', 'it follows a record that is annulled');
  assert.equal(accept(chain, 206, 205), 'held');
  assert.equal(accept(chain, 205, 103), 'appended', 'the new epoch links to the last kept record');
  assert.equal(chain.scl, 206);
  assert.equal(chain.truncate([range(2, 104, 204)]), false, 'again, late');
  assert.equal(chain.scl, 206);
});

test('records of the new epoch that came before the range are refused, and fit after it', () => {
  const chain = chainFrom(0);
  accept(chain, 3, 0);
  accept(chain, 5, 3);
  assert.equal(accept(chain, 206, 3), 'contradicts');
  chain.truncate([range(2, 4, 204)]);
  assert.equal(accept(chain, 206, 3), 'appended');
});

test('a range that would annul what is durable is refused, and changes nothing', () => {
  const chain = chainFrom(0);
  for (let lsn = 1; lsn <= 5; lsn++) accept(chain, lsn, lsn - 1);
  chain.settle(asLsn(4));
  assert.throws(
    () => chain.truncate([range(2, 3, 10)]),
    (error) => isCoded(error, 'QUORUM_RANGE_BELOW_DURABLE'),
  );
  assert.equal(chain.scl, 5);
  assert.equal(chain.truncation, Truncation.none);
  assert.equal(chain.truncate([range(2, 4, 10)]), true);
  assert.equal(chain.scl, 4);
  assert.throws(
    () => new SegmentChain({ base: asLsn(5), ranges: [range(2, 4, 10)] }),
    (error) => isCoded(error, 'QUORUM_RANGE_BELOW_DURABLE'),
  );
});

test('a record that waited on a dead branch is passed by, and is no part of the chain', () => {
  const chain = chainFrom(0);
  accept(chain, 54, 0);
  assert.equal(accept(chain, 56, 55), 'held');
  // Of the next writer, whose truncation (54, 78] this segment has not heard of.
  for (const [lsn, previous] of [
    [79, 54],
    [82, 79],
    [85, 83],
  ])
    accept(chain, lsn, previous);
  assert.deepEqual(chain.above(asLsn(0)), [54, 79, 82]);
  assert.deepEqual(chain.above(asLsn(60)), [79, 82]);
  assert.deepEqual(chain.holes(10), [{ after: 82, through: 83 }]);
  assert.equal(chain.truncate([range(2, 54, 78)]), false);
  assert.deepEqual([chain.scl, chain.islandCount], [82, 1]);
});

test('a VDL above the SCL does not make a dead branch durable', () => {
  const chain = chainFrom(0);
  for (const [lsn, previous] of [
    [90, 0],
    [105, 90],
  ])
    accept(chain, lsn, previous);
  // Fenced by the new writer, its truncation not heard of yet, and told its VDL already.
  chain.settle(asLsn(230));
  assert.equal(chain.truncate([range(2, 100, 200)]), true);
  assert.equal(chain.scl, 90);
});

test('a chain that always lags behind the VDL still settles', () => {
  const chain = chainFrom(0);
  for (let lsn = 1; lsn <= 50; lsn++) {
    accept(chain, lsn, lsn - 1);
    chain.settle(asLsn(lsn + 3));
  }
  assert.equal(chain.lastAtOrBelow(asLsn(49)), 49);
  assert.throws(() => chain.lastAtOrBelow(asLsn(40)), 'settled long ago');
});

test('the last record at or below a point', () => {
  const chain = chainFrom(10);
  for (const [lsn, previous] of [
    [12, 10],
    [15, 12],
    [19, 15],
  ])
    accept(chain, lsn, previous);
  const at = (lsn: number) => chain.lastAtOrBelow(asLsn(lsn));
  assert.deepEqual([10, 11, 12, 14, 15, 18, 19, 40].map(at), [10, 10, 12, 12, 15, 15, 19, 19]);
  chain.settle(asLsn(14));
  assert.deepEqual([12, 14, 15].map(at), [12, 12, 15]);
});

/** The dumb twin: keeps every record that it was given, and walks from the base each time it is asked. */
class DumbChain {
  readonly #links = new Map<number, Link>();
  #truncation = Truncation.none;

  accept(link: Link): void {
    this.#links.set(link.lsn, link);
  }

  truncate(range: TruncationRange): void {
    this.#truncation = this.#truncation.with([range]);
    // What a range annuls is forgotten for good, even should the range turn out void: it has to come again.
    for (const link of this.#valid(true)) this.#links.delete(link.lsn);
  }

  scl(): number {
    let scl = 0;
    for (;;) {
      const next = this.#valid(false).find(({ previous }) => previous === scl);
      if (!next) return scl;
      scl = next.lsn;
    }
  }

  #valid(annulled: boolean): Link[] {
    const covers = (lsn: number) => this.#truncation.covers(asLsn(lsn));
    return [...this.#links.values()].filter((one) => (covers(one.lsn) || covers(one.previous)) === annulled);
  }
}

/** Several writers' lives: each continues from some record of the one before and annuls what that one wrote after it. */
function lives(random: SeededRandom): { links: Link[]; range: TruncationRange | undefined }[] {
  let kept = [0];
  let next = 1;
  const made: { links: Link[]; range: TruncationRange | undefined }[] = [];
  for (let epoch = 1; epoch <= 4; epoch++) {
    let annul: TruncationRange | undefined;
    if (epoch > 1) {
      kept = kept.slice(0, 1 + random.below(kept.length));
      annul = range(epoch, kept[kept.length - 1], next + 10);
      next += 11;
    }
    const links: Link[] = [];
    for (let i = random.below(12); i > 0; i--) {
      next += random.below(3);
      links.push({ lsn: next, previous: kept[kept.length - 1] });
      kept.push(next++);
    }
    made.push({ links, range: annul });
  }
  return made;
}

test('in any order, with duplicates, holes, late records and truncations, the SCL is what a walk finds', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      const chain = chainFrom(0);
      const twin = new DumbChain();
      const past: Link[] = [];
      for (const { links, range } of lives(random)) {
        // The storage node hears of a truncation before it takes records of the epoch behind it.
        if (range) {
          chain.truncate([range]);
          twin.truncate(range);
        }
        past.push(...links);
        for (let i = past.length * 2; i > 0; i--) {
          const link = random.pick(past);
          const before = chain.scl;
          const acceptance = accept(chain, link.lsn, link.previous);
          twin.accept(link);
          assert.equal(chain.scl, twin.scl());
          assert.equal(acceptance === 'appended', chain.scl > before);
          assert.equal(acceptance === 'annulled', chain.annuls(asLsn(link.lsn), asLsn(link.previous)));
          assert.ok(acceptance !== 'contradicts' && acceptance !== 'full');
        }
        // Filling the holes that the chain names is all that gossip needs to do.
        for (const hole of chain.holes(100))
          for (const link of past)
            if (link.lsn > hole.after && link.lsn <= hole.through && random.chance(0.9)) {
              accept(chain, link.lsn, link.previous);
              twin.accept(link);
            }
        assert.equal(chain.scl, twin.scl());
      }
    }),
    { numRuns: 150 },
  );
});

test('when the holes are filled nothing waits any more', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(
        Array.from({ length: 30 }, (_, index) => index + 1),
        { minLength: 1 },
      ),
      (arrived) => {
        const chain = chainFrom(0);
        for (const lsn of arrived) accept(chain, lsn, lsn - 1);
        for (const { after, through } of chain.holes(100))
          for (let lsn = after + 1; lsn <= through; lsn++) accept(chain, lsn, lsn - 1);
        assert.equal(chain.islandCount, 0);
        assert.equal(chain.scl, Math.max(...arrived));
      },
    ),
    { numRuns: 100 },
  );
});
