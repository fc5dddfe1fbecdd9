/**
 * What differs from cluster to cluster: sizes, intervals, limits. Small values bring boundaries close, so that a few seconds
 * meet what takes weeks in life; each seed draws its own.
 */
import type { SeededRandom } from '@rokka/kernel';
import type { HealingTimes } from '@rokka/quorum';
import type { StoreTuning } from '@rokka/storage';
import { between, scaled } from './seeds.ts';

export interface Knobs {
  readonly groups: number;
  readonly pagesPerGroup: number;
  readonly allFull: boolean;
  /** Records above the VDL that a writer may allocate, and that its successor annuls. */
  readonly allocationLimit: number;
  readonly outstandingBytesMax: number;
  readonly sendLimitBytes: number;
  readonly cacheFrames: number;
  readonly clients: number;
  /** Without: the product's. */
  readonly gossipIntervalMs?: number;
  readonly latencyMs: readonly [number, number];
  readonly lateOnceIn: number;
  readonly lateMs: number;
  readonly registryMs: number;
  readonly sectorBytes: number;
  readonly tuning: Omit<StoreTuning, 'slowReadMs'>;
  /** Reads wait for each other on the nodes, and what comes meanwhile overtakes them. */
  readonly slowReads?: boolean;
  /** Machines beside the six, in zones a, b, c, a …; without any, nobody is replaced. */
  readonly spares?: number;
  /** How soon the healer acts; without, members change by hand until the faults are over. */
  readonly healing?: HealingTimes;
  /** Two of six members get their ships a moment later. */
  readonly crowded?: boolean;
  /** Of records in one message to a node. Without: the product's, and then a mini-transaction is hardly ever cut into several. */
  readonly shipBytesMax?: number;
  /** Clients make many small records and wait for none of them: a writer runs as far ahead as its limit lets it. */
  readonly eager?: boolean;
}

/** Two of three clusters have spares, and most of them a healer. From a stream of its own: the other knobs do not depend on it. */
export function drawMembershipKnobs(random: SeededRandom): Pick<Knobs, 'spares' | 'healing'> {
  if (random.chance(0.35)) return {};
  const spares = random.pick([3, 3, 4, 6]);
  const healing: HealingTimes = {
    awayMs: Math.round(scaled(random, 300, 2_500)),
    behindMs: Math.round(scaled(random, 1_500, 8_000)),
    returnedMs: Math.round(scaled(random, 50, 600)),
    blockedMs: Math.round(scaled(random, 600, 3_000)),
  };
  return random.chance(0.25) ? { spares } : { spares, healing };
}

/** Half of the clusters are on one machine. From a stream of its own, as above. */
export function drawPlaceKnobs(random: SeededRandom): Pick<Knobs, 'crowded'> {
  return { crowded: random.chance(0.5) };
}

/** In two of three clusters what is shipped is cut, down to a mini-transaction's part in one group. From a stream of its own, as above. */
export function drawShipKnobs(random: SeededRandom): Pick<Knobs, 'shipBytesMax'> {
  return random.chance(1 / 3) ? {} : { shipBytesMax: random.pick([1, 1, 256, 4 * 1024]) };
}

/** In every other cluster. From a stream of its own, as above. */
export function drawReadKnobs(random: SeededRandom): Pick<Knobs, 'slowReads'> {
  return { slowReads: random.chance(0.5) };
}

/** In one of eight clusters records are counted before their bytes are. From a stream of its own, as above. */
export function drawPaceKnobs(
  random: SeededRandom,
): Partial<Pick<Knobs, 'eager' | 'allocationLimit' | 'outstandingBytesMax'>> {
  if (!random.chance(0.125)) return {};
  return {
    eager: true,
    allocationLimit: Math.round(scaled(random, 24, 120)),
    outstandingBytesMax: between(random, 64, 256) * 1024,
  };
}

export function drawKnobs(random: SeededRandom): Knobs {
  const least = scaled(random, 0.05, 2);
  const logFileBytes = random.pick([16, 32, 64, 128]) * 1024;
  return {
    groups: between(random, 1, 3),
    pagesPerGroup: between(random, 6, 16),
    allFull: random.chance(0.25),
    allocationLimit: Math.round(scaled(random, 24, 2_000)),
    outstandingBytesMax: Math.round(scaled(random, 4 * 1024, 256 * 1024)),
    sendLimitBytes: Math.round(scaled(random, 2 * 1024, 1024 * 1024)),
    cacheFrames: between(random, 8, 40),
    clients: between(random, 1, 4),
    gossipIntervalMs: Math.round(scaled(random, 100, 1_500)),
    latencyMs: [least, least * scaled(random, 1.1, 6)],
    lateOnceIn: Math.round(scaled(random, 20, 2_000)),
    lateMs: Math.round(scaled(random, 5, 800)),
    registryMs: scaled(random, 0.1, 20),
    sectorBytes: random.pick([512, 4096]),
    tuning: {
      logFileBytes,
      logBatchBytes: random.pick([8, 16, 32]) * 1024,
      segmentLogBytes: random.pick([4, 16, 64]) * 1024,
      pageRecords: random.pick([4, 32, 1_000]),
      logBytes: logFileBytes * random.pick([1, 2, 4]),
      scrubBytesPerSecond: random.pick([0, 4 * 1024, 64 * 1024]),
    },
  };
}
