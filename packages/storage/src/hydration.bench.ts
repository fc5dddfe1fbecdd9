/**
 * How fast a full segment is filled over unix sockets onto a real disk, beside a plain copy of as many bytes: one process
 * reads a file and sends it, another one writes what comes and syncs, once at the end or every 4 MiB. Before each of them as
 * much is written and removed: memory that a virtual machine must ask its host for anew costs more than a copy does
 * (measured: 0.3 against 3.5 GiB/s into the page cache), and all three shall find the same. Run by hand:
 *
 *   node packages/storage/src/hydration.bench.ts [MiB of pages, default 256] [rounds, default 3] [directory, default the system's]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { deadline, PAGE_SIZE, systemClock, type Lsn, type NodeId, type Zone } from '@rokka/kernel';
import { unixNetwork } from '@rokka/transport';
import * as codec from './message-codec.ts';
import { MESSAGE, type MemberAddress } from './messages.ts';
import { NodeClient } from './node-client.ts';
import type { NodeStatus } from './node-status.ts';
import { runStorageNode } from './run-node.ts';
import { joined, RecordMaker } from './testing/records.ts';
import { createMessage, head, shipMessage } from './testing/stores.ts';

const MIB = 1024 * 1024;
/** As in a volume: 10 GiB of which little is written. */
const PAGE_COUNT = 1_310_720;
const CHUNK_BYTES = MIB;

async function main(args: string[]): Promise<void> {
  const megabytes = Number(args[0] ?? 256);
  const rounds = Number(args[1] ?? 3);
  const root = fs.mkdtempSync(path.join(args[2] ?? os.tmpdir(), 'rokka-hydration-'));
  const children: ChildProcess[] = [];
  try {
    const source = await startNode(root, 'n0', children);
    await fill(source, megabytes);
    for (let round = 1; round <= rounds; round++) {
      const plain = await plainCopy(root, megabytes, children, { syncBytes: Infinity });
      const synced = await plainCopy(root, megabytes, children, { syncBytes: 4 * MIB });
      const { pages, log, cpu } = await hydrate(root, `m${round}`, megabytes, children);
      const rate = (ms: number) => `${((megabytes * 1000) / ms).toFixed(0)} MiB/s`;
      const share = (ms: number) => `${((100 * ms) / pages).toFixed(0)} %`;
      console.log(
        `round ${round}: hydration ${rate(pages)} (log ${log} records); plain copy ${rate(plain)} (hydration is ${share(plain)}), ` +
          `synced every 4 MiB ${rate(synced)} (${share(synced)}); processor: source ${cpu[0]} ms, newcomer ${cpu[1]} ms`,
      );
    }
    source.close();
  } finally {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(root, { recursive: true, force: true });
  }
}

const memberOf = (root: string, name: string): MemberAddress => ({
  node: name as NodeId,
  address: path.join(root, name),
  zone: 'a' as Zone,
  kind: 'full',
});

async function startNode(root: string, name: string, children: ChildProcess[]): Promise<NodeClient> {
  const child = await start(['node', path.join(root, `${name}.data`), path.join(root, name), name]);
  children.push(child);
  return startClient(root, name);
}

/** Writes every page once, whole, and waits until all of it lies in pages. */
async function fill(client: NodeClient, megabytes: number): Promise<void> {
  const pages = (megabytes * MIB) / PAGE_SIZE;
  const create = createMessage({ pageCount: PAGE_COUNT, members: [] });
  await client.request(MESSAGE.CREATE_SEGMENT, [codec.encodeCreateSegment(create)], { timeoutMs: 5_000 });
  const maker = new RecordMaker();
  const content = new Uint8Array(PAGE_SIZE);
  for (let page = 0; page < pages; page += 64) {
    maker.made.length = 0;
    for (let i = 0; i < 64; i++) {
      content.fill((page + i) & 0xff).set([page & 0xff, page >> 8], 100);
      maker.make({ page: page + i, content, init: true });
    }
    const durable = (maker.lastLsn - 64) as Lsn;
    const ship = { ...shipMessage([], { vdl: durable, pgmrpl: durable }), records: [joined(maker.made)] };
    while (!client.caller.connection.send(MESSAGE.SHIP, 0, codec.encodeShips([ship])))
      await systemClock.sleep(2);
    if (page % 4_096 === 0) await statusOf(client);
  }
  const last = maker.lastLsn;
  const points = { vdl: last, pgmrpl: last, logFloor: last };
  const told = { ...shipMessage([], points), records: [] };
  client.caller.connection.send(MESSAGE.SHIP, 0, codec.encodeShips([told]));
  // What is below the thresholds stays in the log: so many records come by gossip.
  for (let before = -1; ;) {
    const { coalesced } = (await statusOf(client)).segments[0];
    if (coalesced === before && coalesced > last / 2) break;
    before = coalesced;
    await systemClock.sleep(1_000);
  }
}

async function statusOf(client: NodeClient): Promise<NodeStatus> {
  const body = await client.request(MESSAGE.STATUS, [], { timeoutMs: 60_000 });
  return JSON.parse(Buffer.from(body).toString()) as NodeStatus;
}

let membership = 1;

async function hydrate(root: string, name: string, megabytes: number, children: ChildProcess[]) {
  const client = await startNode(root, name, children);
  const members = ['n0', name].map((node) => memberOf(root, node));
  const source = await startClient(root, 'n0');
  membership++;
  const epochs = { membershipEpoch: membership as never };
  const fence = codec.encodeFence({ ...head(epochs), members, ranges: [] });
  await source.request(MESSAGE.FENCE, [fence], { timeoutMs: 5_000 });
  const create = createMessage({ ...epochs, pageCount: PAGE_COUNT, members, hydrate: true });
  takeMemory(root, megabytes);
  const processes = [children[0], children.at(-1)];
  const before = processes.map(processorMs);
  const startedMs = systemClock.nowMs();
  await client.request(MESSAGE.CREATE_SEGMENT, [codec.encodeCreateSegment(create)], { timeoutMs: 5_000 });
  for (;;) {
    await systemClock.sleep(10);
    const [segment] = (await statusOf(client)).segments;
    if (systemClock.nowMs() - startedMs > 300_000) throw new Error(JSON.stringify(segment));
    if (segment.hydration) continue;
    const pages = systemClock.nowMs() - startedMs;
    const cpu = processes.map((one, i) => processorMs(one) - before[i]);
    const copied = (segment.pages * PAGE_SIZE) / MIB;
    if (copied + (segment.recordsInLog * PAGE_SIZE) / MIB < megabytes)
      throw new Error(`${copied} MiB of pages`);
    const child = children.pop();
    client.close();
    source.close();
    child?.kill('SIGTERM');
    if (child) await once(child, 'exit');
    fs.rmSync(path.join(root, `${name}.data`), { recursive: true });
    return { pages, log: segment.recordsInLog, cpu };
  }
}

/** The page cache has memory for as much, which it used a moment ago. */
function takeMemory(root: string, megabytes: number): void {
  const file = path.join(root, 'memory');
  writeFile(file, megabytes);
  fs.rmSync(file);
}

function writeFile(file: string, megabytes: number): void {
  const chunk = Buffer.alloc(MIB, 7);
  const fd = fs.openSync(file, 'w');
  for (let i = 0; i < megabytes; i++) fs.writeSync(fd, chunk);
  fs.fdatasyncSync(fd);
  fs.closeSync(fd);
}

/** What the process has used, of all its threads (proc(5): utime and stime, in hundredths of a second). */
function processorMs(child: ChildProcess | undefined): number {
  const fields = fs.readFileSync(`/proc/${child?.pid}/stat`, 'utf8').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

function startClient(root: string, name: string): Promise<NodeClient> {
  return NodeClient.connect({
    network: unixNetwork({ clock: systemClock }),
    address: path.join(root, name),
    hello: { cluster: 'bench', node: name as NodeId },
    clock: systemClock,
    timeoutMs: 5_000,
    rest: {},
  });
}

async function plainCopy(
  root: string,
  megabytes: number,
  children: ChildProcess[],
  options: { syncBytes: number },
): Promise<number> {
  const [from, to, socket] = ['plain.from', 'plain.to', 'plain'].map((name) => path.join(root, name));
  if (!fs.existsSync(from)) writeFile(from, megabytes);
  fs.rmSync(socket, { force: true });
  const receiver = await start(['receive', socket, to, String(options.syncBytes)]);
  children.push(receiver);
  takeMemory(root, megabytes);
  const sender = await start(['send', socket, from]);
  const startedMs = systemClock.nowMs();
  children.push(sender);
  await deadline(once(receiver, 'exit'), { what: 'the plain copy', ms: 300_000 });
  const ms = systemClock.nowMs() - startedMs;
  children.splice(-2);
  return ms;
}

async function start(args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [import.meta.filename, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout)
    await deadline(once(child.stdout, 'data'), { what: `${args[0]} to be ready`, ms: 20_000 });
  return child;
}

async function node([directory, address, name]: string[]): Promise<void> {
  const ended = new AbortController();
  process.once('SIGTERM', () => ended.abort());
  await runStorageNode({
    directory,
    address,
    network: unixNetwork({ clock: systemClock }),
    cluster: 'bench',
    zone: 'a' as Zone,
    node: name as NodeId,
    signal: ended.signal,
    tuning: { scrubBytesPerSecond: 0 },
    onReady: () => process.stdout.write('ready\n'),
  });
}

/** Reads the file and sends it. */
async function send([socketPath, from]: string[]): Promise<void> {
  const socket = net.connect(socketPath);
  await once(socket, 'connect');
  process.stdout.write('ready\n');
  const fd = fs.openSync(from, 'r');
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const count = fs.readSync(fd, chunk);
    if (count === 0) break;
    if (!socket.write(chunk.subarray(0, count))) await once(socket, 'drain');
  }
  socket.end();
}

/** Writes what comes, and syncs. */
async function receive([socketPath, to, syncBytes]: string[]): Promise<void> {
  const fd = fs.openSync(to, 'w');
  const every = Number(syncBytes);
  let unsynced = 0;
  const server = net.createServer((socket) => {
    socket.on('data', (chunk) => {
      fs.writeSync(fd, chunk);
      unsynced += chunk.length;
      if (unsynced < every) return;
      fs.fdatasyncSync(fd);
      unsynced = 0;
    });
    socket.on('end', () => {
      fs.fdatasyncSync(fd);
      process.exit(0);
    });
  });
  server.listen(socketPath, () => process.stdout.write('ready\n'));
  await once(server, 'close');
}

const [role = 'main', ...rest] = process.argv.slice(2);
const roles: Record<string, (args: string[]) => Promise<void>> = { node, send, receive };
await (roles[role] ?? ((args: string[]) => main(role === 'main' ? args : [role, ...args])))(rest);
