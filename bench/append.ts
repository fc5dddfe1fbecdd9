/**
 * Raw append to a volume: 200-byte records, each its own mini-transaction, waited for until four of six copies are on disk;
 * on six node processes, beside the disk's own sync rate.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, fdatasyncSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import * as path from 'node:path';
import {
  systemClock,
  systemRandom,
  type NodeId,
  type PageNumber,
  type VolumeId,
  type Zone,
} from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { unixNetwork } from '@rokka/transport';
import { PageCache, Volume } from '@rokka/volume';
import { median, type Row } from './report.ts';

const RECORD_BYTES = 200;
const NODE_PROCESS = path.resolve(import.meta.dirname, '../apps/rokka/src/processes/node-process.ts');

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

async function startNodes(
  directory: string,
): Promise<{ list: { node: NodeId; zone: Zone }[]; sockets: string } & AsyncDisposable> {
  const sockets = path.join(directory, 'run');
  mkdirSync(sockets, { recursive: true, mode: 0o700 });
  const list = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, index) => ({
    node: `node-${index + 1}` as NodeId,
    zone: zone as Zone,
  }));
  const children = list.map(({ node, zone }) => {
    const options = {
      cluster: 'bench',
      node,
      zone,
      directory: path.join(directory, node),
      socketDirectory: sockets,
      address: node,
    };
    return spawn(process.execPath, [NODE_PROCESS, JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  });
  await Promise.all(children.map(ready));
  return {
    list,
    sockets,
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map((child) => new Promise((resolve) => (child.once('exit', resolve), child.disconnect()))),
      );
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: { kind: string }) => message.kind === 'ready' && resolve());
    child.once('exit', (code) => reject(new Error(`a storage node ended with status ${code}`)));
  });
}
