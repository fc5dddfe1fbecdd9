/**
 * What a call costs: 1,000 a second of a Describe that answers ten resources, each signature verified and each call recorded
 * (in memory), from one process to another. Also how long a gateway takes to start, and its memory with three services loaded.
 *
 * Open loop: a request is sent when it is due, whether others have been answered or not, and its latency counts from then.
 * By hand: `node packages/gateway/src/gateway.bench.ts [SECONDS] [CALLS A SECOND]`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import * as net from 'node:net';
import { systemClock } from '@rokka/kernel';
import { ALICE } from './testing/identity.ts';
import { signed, type ToSign } from './testing/official-signer.ts';
import { serve } from './testing/served.ts';

type Signed = Awaited<ReturnType<typeof signed>>;

const CONNECTIONS = 32;
const [SECONDS, PER_SECOND] = [Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 1000)];

async function serveForParent(send: (message: object) => void): Promise<void> {
  const served = await serve();
  send({ port: served.gateway.port, startMs: performance.now() });
  process.on('message', () => {
    // The audit of a test keeps everything: what the gateway itself holds is measured without it.
    served.audit.records.length = 0;
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    send({ rss, heapUsed, cpu: process.cpuUsage() });
  });
}

interface Usage {
  rss: number;
  heapUsed: number;
  cpu: NodeJS.CpuUsage;
}

async function measure(): Promise<void> {
  const child = fork(import.meta.filename, { execArgv: ['--expose-gc'] });
  const usage = async (): Promise<Usage> => {
    child.send('usage');
    const [message] = (await once(child, 'message')) as [Usage];
    return message;
  };
  const [{ port, startMs }] = (await once(child, 'message')) as [{ port: number; startMs: number }];
  const client = new LoadClient(port);
  const before = await usage();
  const first = await client.timed(await call('rds', 'Action=DescribeDBClusters'));
  await client.timed(await call('sts', 'Action=GetCallerIdentity'));
  await client.timed(await call('ec2', 'Action=CreateSnapshot&VolumeId=v'));
  const loaded = await usage();
  console.log(`from start of the process to listening: ${startMs.toFixed(0)} ms`);
  console.log(`first call of a service, loading its module: ${first.toFixed(0)} ms`);
  console.log(
    `memory: ${mib(before.rss)} MiB before any service, ${mib(loaded.rss)} MiB with rds, sts and ec2 loaded`,
  );
  const latencies = await client.load();
  const after = await usage();
  const cpuMs = (after.cpu.user + after.cpu.system - loaded.cpu.user - loaded.cpu.system) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.floor((latencies.length - 1) * part)].toFixed(1);
  console.log(`${latencies.length} calls in ${SECONDS} s, ${client.failed} failed`);
  console.log(`p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms, most ${at(1)} ms`);
  console.log(
    `${(cpuMs / latencies.length).toFixed(2)} ms of the gateway's CPU a call, ${mib(after.rss)} MiB after it`,
  );
  child.kill();
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

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
      const line = this.#idle.pop();
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
      this.#asked?.done(head.startsWith('HTTP/1.1 200'));
      onFree(this);
    });
    this.#socket.unref();
  }

  ask(asked: Asked): void {
    this.#asked = asked;
    this.#socket.write(asked.bytes);
  }
}

function bytesOf({ headers, body }: Signed): Buffer {
  const lines = Object.entries({ ...headers, 'content-length': body.length }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

if (process.send) await serveForParent(process.send.bind(process));
else await measure();
