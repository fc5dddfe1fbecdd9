/**
 * Raw append to a volume: 200-byte records, each its own mini-transaction, waited for until four of six copies are on disk;
 * on six node processes, beside the disk's own sync rate.
 */
import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import * as path from 'node:path';
import { systemClock, systemRandom, type PageNumber, type VolumeId } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { unixNetwork } from '@rokka/transport';
import { PageCache, Volume } from '@rokka/volume';
import { median, type Row } from './report.ts';
import { startNodes } from './storage-nodes.ts';

const RECORD_BYTES = 200;

export async function appendRows(options: {
  directory: string;
  rounds: number;
  seconds: number;
}): Promise<Row[]> {
  await using nodes = await startNodes(options.directory);
  const registry = new MemoryRegistry();
  const volumeId = 'bench' as VolumeId;
  const pagesPerGroup = 1_310_720;
  await Volume.create(registry, {
    volumeId,
    name: 'bench',
    pagesPerGroup,
    groupsMax: 1,
    allFull: false,
    nodes: nodes.list,
  });
  await using volume = await Volume.open({
    volumeId,
    cluster: 'bench',
    registry,
    network: unixNetwork({ clock: systemClock }),
    addressOf: (node) => path.join(nodes.sockets, node),
    clock: systemClock,
    random: systemRandom,
  });
  const cache = new PageCache(volume);
  const syncs: number[] = [];
  const rates = new Map<number, number[]>([
    [1, []],
    [64, []],
    [512, []],
  ]);
  for (let round = 0; round < options.rounds; round++) {
    syncs.push(syncRate(path.join(options.directory, 'sync-probe'), options.seconds));
    for (const [inFlight, results] of rates) results.push(await appendRate(cache, inFlight, options.seconds));
  }
  const sync = median(syncs);
  const rows: Row[] = [{ row: 'disk: 4 KiB overwrite and fdatasync', value: sync, unit: '/s' }];
  for (const [inFlight, results] of rates) {
    const rate = median(results);
    rows.push({ row: `append 200 B, ${inFlight} in flight`, value: rate, unit: '/s' });
    rows.push({ row: `append 200 B, ${inFlight} in flight / disk sync rate`, value: rate / sync, unit: 'x' });
  }
  return rows;
}

let counter = 0;

async function appendRate(cache: PageCache, inFlight: number, seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1000;
  const startMs = performance.now();
  let done = 0;
  const lane = async () => {
    const bytes = Buffer.alloc(RECORD_BYTES);
    while (performance.now() < endMs) {
      // Other bytes each time: what does not change is not shipped.
      bytes.fill(`${counter++} `);
      const page = (counter % 1000) as PageNumber;
      const ticket = cache.apply([{ page, offset: 0, bytes, init: true }]);
      await cache.whenDurable(ticket);
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (done * 1000) / (performance.now() - startMs);
}

function syncRate(file: string, seconds: number): number {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  const mebibyte = Buffer.alloc(1 << 20);
  for (let at = 0; at < 16; at++) writeSync(fd, mebibyte, 0, mebibyte.length, at << 20);
  fsyncSync(fd);
  const block = Buffer.alloc(4096, 1);
  const startMs = performance.now();
  let count = 0;
  for (; performance.now() - startMs < seconds * 1000; count++) {
    writeSync(fd, block, 0, block.length, (count % 4096) * 4096);
    fdatasyncSync(fd);
  }
  const rate = (count * 1000) / (performance.now() - startMs);
  closeSync(fd);
  return rate;
}
