/**
 * Reads while one full member is slow: `node bench/slow-reader.ts`. Random pages that miss every cache, from six node
 * processes; then the same while everything that one full member says comes half a second late.
 *
 *   --rounds N    of each, interleaved (default 5)
 *   --seconds N   default 5
 *   --pages N     of the volume (default 8000)
 *   --json        one JSON object a row
 */
import { mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock, systemRandom, type PageNumber } from '@rokka/kernel';
import { unixNetwork, type Network } from '@rokka/transport';
import { PageCache, type Volume } from '@rokka/volume';
import { median, percentile, printJson, printTable, type Row } from './report.ts';
import { startNodes } from './storage-nodes.ts';
import { VolumePlace } from './volume-place.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    pages: { type: 'string' },
    json: { type: 'boolean' },
  },
});
const rounds = Number(values.rounds ?? 5);
const seconds = Number(values.seconds ?? 5);
const pageCount = Number(values.pages ?? 8000);
const IN_FLIGHT = 16;
const SLOW_MS = 500;
const SETTLE_MS = 2_000;

/** What the node at `address` says comes late, as long as `isSlow` says so. */
function slowed(network: Network, address: string, isSlow: () => boolean): Network {
  return {
    listen: (...args) => network.listen(...args),
    connect: (to, handler, options) => {
      if (to !== address) return network.connect(to, handler, options);
      const late: typeof handler = {
        ...handler,
        onClose: (connection, reason) => handler.onClose(connection, reason),
        onDrain: (connection) => handler.onDrain?.(connection),
        onFrame: (connection, frame) => {
          if (!isSlow()) return handler.onFrame(connection, frame);
          const kept = { ...frame, body: new Uint8Array(frame.body) };
          systemClock.after(SLOW_MS, () => handler.onFrame(connection, kept), { keepAlive: true });
        },
      };
      return network.connect(to, late, options);
    },
  };
}

async function latencies(volume: Volume): Promise<number[]> {
  const endMs = performance.now() + seconds * 1000;
  const all: number[] = [];
  const lane = async () => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await volume.read(systemRandom.below(pageCount) as PageNumber);
      all.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return all;
}

async function rowsOf(directory: string): Promise<Row[]> {
  await using nodes = await startNodes(directory);
  let slow = false;
  const network = slowed(unixNetwork({ clock: systemClock }), path.join(nodes.sockets, 'node-3'), () => slow);
  await using volume = await (await VolumePlace.make(nodes, { network })).open();
  const cache = new PageCache(volume, { sizeBytes: 16 * 1024 * 1024 });
  for (let page = 0; page < pageCount; page++) {
    const bytes = Buffer.alloc(4096, `page ${page} `);
    const ticket = cache.apply([{ page: page as PageNumber, offset: 0, bytes, init: true }]);
    if (page % 64 === 63) await cache.whenDurable(ticket);
  }
  const p99: Record<'even' | 'slow', number[]> = { even: [], slow: [] };
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const kind of ['even', 'slow'] as const) {
      slow = kind === 'slow';
      await systemClock.sleep(SETTLE_MS);
      const measured = await latencies(volume);
      p99[kind].push(percentile(measured, 0.99));
      if (kind === 'even') rates.push(measured.length / seconds);
      process.stderr.write(`round ${round + 1}, ${kind}: p99 ${p99[kind].at(-1)?.toFixed(2)} ms\n`);
    }
  }
  const ratios = p99.slow.map((value, round) => value / (p99.even[round] ?? Number.NaN));
  return [
    { row: 'random reads, 16 in flight', value: median(rates), unit: '/s' },
    { row: 'p99, all members even', value: median(p99.even), unit: 'ms' },
    { row: `p99, one full member ${SLOW_MS} ms late`, value: median(p99.slow), unit: 'ms' },
    { row: 'one member late / all even', value: median(ratios), unit: 'x', goal: 1.5, atLeast: false },
  ];
}

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rokka-bench-'));
  try {
    (values.json ? printJson : printTable)(await rowsOf(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
