/**
 * What a call costs: 1,000 a second of a Describe that answers ten resources, each signature verified and each call recorded
 * (by an audit that keeps nothing), from one process to another. Also how long a gateway takes to start, and its memory with
 * three services loaded: in a process that compiles, as the first one does on a new data directory, and in one that finds
 * compiled code, as all later ones do.
 *
 * Open loop: a request is sent when it is due, whether others have been answered or not, and its latency counts from then.
 * The first WARM_S seconds, in which the code is slow yet, are told apart from the rest.
 * By hand: `node packages/gateway/src/gateway.bench.ts [SECONDS] [CALLS A SECOND]`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import type { Started, Usage } from './testing/bench-server.ts';
import { ALICE } from './testing/identity.ts';
import { signed, type ToSign } from './testing/official-signer.ts';

type Signed = Awaited<ReturnType<typeof signed>>;

const SERVER = `${import.meta.dirname}/testing/bench-server.ts`;
/** As its supervisor starts the real one (`NODE_FLAGS` of apps/rokka/src/compile-cache.ts), which this must not import. */
const NODE_FLAGS = ['--max-semi-space-size=4'];
const CONNECTIONS = 32;
const WARM_S = 1;
const [SECONDS, PER_SECOND] = [Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 1000)];

class Server implements Disposable {
  readonly #child: ChildProcess;

  constructor(compileCache: string, what: 'gateway' | 'floor' = 'gateway') {
    const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
    this.#child = fork(SERVER, [what], { execArgv: [...NODE_FLAGS, '--expose-gc'], env });
  }

  async started(): Promise<Started> {
    const [message] = (await once(this.#child, 'message')) as [Started];
    return message;
  }

  async usage(): Promise<Usage> {
    this.#child.send('usage');
    const [message] = (await once(this.#child, 'message')) as [Usage];
    return message;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** Starts one, has it load three services, and says what that took. */
async function begin(what: string, compileCache: string): Promise<{ server: Server; client: LoadClient }> {
  const server = new Server(compileCache);
  const { port, startMs } = await server.started();
  const client = new LoadClient(port);
  const before = await server.usage();
  const first = await client.timed(await call('rds', 'Action=DescribeDBClusters'));
  await client.timed(await call('sts', 'Action=GetCallerIdentity'));
  await client.timed(await call('ec2', 'Action=CreateSnapshot&VolumeId=v'));
  const loaded = await server.usage();
  console.log(
    `${what}: listens after ${startMs.toFixed(0)} ms, first call of a service in ${first.toFixed(0)} ms; ` +
      `${mb(before.rssBytes)} MB before any service, ${mb(loaded.rssBytes)} MB with rds, sts and ec2 loaded ` +
      `(${mb(loaded.heapBytes)} MB of it objects)`,
  );
  return { server, client };
}

async function measure(compileCache: string): Promise<void> {
  (await begin('compiling', compileCache)).server[Symbol.dispose]();
  const { server, client } = await begin('compiled', compileCache);
  await load('gateway', { server, client });
  // What the machine has left at this time for the simplest of servers: without it the figures above say little.
  const floor = new Server(compileCache, 'floor');
  await load('floor', { server: floor, client: new LoadClient((await floor.started()).port) });
}

async function load(what: string, of: { server: Server; client: LoadClient }): Promise<void> {
  using server = of.server;
  const before = await server.usage();
  const latencies = await of.client.load();
  const after = await server.usage();
  const warm = WARM_S * PER_SECOND;
  const cpuMs = (after.cpuMs - before.cpuMs) / latencies.length;
  console.log(`${what}: ${latencies.length} calls in ${SECONDS} s, ${of.client.failed} failed`);
  console.log(`  in the first ${WARM_S} s ${spread(latencies.slice(0, warm))}`);
  console.log(`  after it         ${spread(latencies.slice(warm))}`);
  console.log(`  of all           ${spread(latencies)}`);
  console.log(`  were sent late by ${spread(of.client.lateMs)}`);
  console.log(`  ${cpuMs.toFixed(2)} ms of its CPU a call, ${mb(after.rssBytes)} MB after it`);
}

function spread(latencies: readonly number[]): string {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms, most ${at(1)} ms`;
}

const mb = (bytes: number) => Math.round(bytes / 1e6);

/** A call that changes nothing may be said again with the same signature: so the load costs the client no signing. */
async function call(service: string, body: string): Promise<Signed> {
  const headers: ToSign['headers'] = { 'content-type': 'application/x-www-form-urlencoded' };
  return await signed({ service, body, headers, credential: ALICE, atMs: systemClock.wallMs() });
}

interface Asked {
  readonly bytes: Buffer;
  readonly done: (isGood: boolean) => void;
}

/** HTTP/1.1 by hand over kept connections: the load must cost its own process little, or it would be what is measured. */
class LoadClient {
  readonly #idle: Line[] = [];
  readonly #waiting: Asked[] = [];
  failed = 0;
  /** How long after it was due each request was sent: what this process, and the machine, add to a latency. */
  readonly lateMs: number[] = [];

  constructor(port: number) {
    for (let i = 0; i < CONNECTIONS; i++) this.#idle.push(new Line(port, (line) => this.#next(line)));
  }

  async timed(request: Signed): Promise<number> {
    const from = performance.now();
    await this.#send(bytesOf(request));
    return performance.now() - from;
  }

  async load(): Promise<number[]> {
    const bytes = bytesOf(await call('rds', 'Action=DescribeDBClusters'));
    const latencies: number[] = [];
    const running: Promise<void>[] = [];
    const begin = performance.now();
    for (let sent = 0; sent < SECONDS * PER_SECOND;) {
      const dueNow = Math.min(SECONDS * PER_SECOND, ((performance.now() - begin) / 1000) * PER_SECOND);
      for (; sent < dueNow; sent++) {
        const due = begin + (sent / PER_SECOND) * 1000;
        this.lateMs.push(performance.now() - due);
        running.push(this.#send(bytes).then(() => void latencies.push(performance.now() - due)));
      }
      await systemClock.sleep(1);
    }
    await Promise.all(running);
    return latencies;
  }

  #send(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const done = (isGood: boolean) => {
        if (!isGood) this.failed++;
        resolve();
      };
      this.#waiting.push({ bytes, done });
      // In turns: one on which nothing is said for a while is closed by the gateway.
      const line = this.#idle.shift();
      if (line) this.#next(line);
    });
  }

  #next(line: Line): void {
    const asked = this.#waiting.shift();
    if (asked) line.ask(asked);
    else this.#idle.push(line);
  }
}

class Line {
  readonly #socket: net.Socket;
  #asked: Asked | undefined;
  #heard: Buffer = Buffer.alloc(0);

  constructor(port: number, onFree: (line: Line) => void) {
    this.#socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heard = this.#heard.length === 0 ? chunk : Buffer.concat([this.#heard, chunk]);
      const end = this.#heard.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#heard.toString('latin1', 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
      if (this.#heard.length < end + 4 + length) return;
      this.#heard = Buffer.alloc(0);
      this.#tell(head.startsWith('HTTP/1.1 200'));
      onFree(this);
    });
    this.#socket.on('close', () => this.#tell(false));
    this.#socket.unref();
  }

  ask(asked: Asked): void {
    this.#asked = asked;
    if (this.#socket.destroyed) this.#tell(false);
    else this.#socket.write(asked.bytes);
  }

  #tell(isGood: boolean): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.done(isGood);
  }
}

function bytesOf({ headers, body }: Signed): Buffer {
  const lines = Object.entries({ ...headers, 'content-length': body.length }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

const compileCache = fs.mkdtempSync(path.join(os.tmpdir(), 'gateway-bench-'));
try {
  await measure(compileCache);
} finally {
  fs.rmSync(compileCache, { recursive: true, force: true });
}
