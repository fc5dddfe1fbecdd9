/** The door itself: who sends slowly, much, or never stops, and how a gateway ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { CreateDBClusterCommand, DescribeDBClustersCommand, RDSClient } from '@aws-sdk/client-rds';
import { Deferred, isCoded, SeededRandom, systemClock, systemRandom } from '@rokka/kernel';
import { openGateway } from './gateway.ts';
import { credentialsOf, TestAudit, TestAuthorizer } from './testing/identity.ts';
import { serve, type Served } from './testing/served.ts';

const CREATE = new CreateDBClusterCommand({ DBClusterIdentifier: 'a', Engine: 'e' });
const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';

const CLOSED_MS = 60_000;
/** Longer than any test: whoever is cut off before has another reason. */
const NEVER_MS = 3_600_000;
const GIGABYTE = 1_000_000_000;
const CHUNK_BYTES = 64 * 1024;
/** More than what connections and pipes hold: most of it is unread when it is refused. */
const REFUSED_BYTES = 64 * 1024 * 1024;
/** Of this process, in which both sides are. */
const GROWN_MIB_MAX = 300;

/** A connection on which bytes are said as they are. */
class Caller implements Disposable {
  readonly socket: net.Socket;
  readonly closed = new Deferred<void>();
  heard = '';

  constructor({ gateway }: Served) {
    this.socket = net.connect({ host: '127.0.0.1', port: gateway.port });
    this.socket.on('data', (chunk: Buffer) => void (this.heard += chunk.toString('latin1')));
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.closed.resolve());
  }

  say(words: string): void {
    this.socket.write(words, 'latin1');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const rdsOf = (served: Served) => new RDSClient(served.client);
const health = async ({ gateway }: Served) => await fetch(`${gateway.url}/_rokka/health`);
const describeWorks = async (served: Served) => {
  const { DBClusters } = await rdsOf(served).send(new DescribeDBClustersCommand({}));
  assert.equal(DBClusters?.length, 10);
};

test('health is told to anybody, and not to the audit', async () => {
  await using served = await serve();
  const response = await health(served);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: 'ok', calls: 0 });
  assert.deepEqual(served.audit.records, []);
});

test('what is no AWS request is told so, with an id', async () => {
  await using served = await serve();
  const response = await fetch(`${served.gateway.url}/index.html`);
  assert.equal(response.status, 403);
  assert.match(response.headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(await response.json(), { message: 'Request is missing Authentication Token' });
  assert.equal(served.audit.records[0].requestId, response.headers.get('x-amzn-requestid'));
});

test(
  'who says nothing, or a byte at a time, is cut off; the others do not notice',
  { timeout: 300_000 },
  async () => {
    await using served = await serve({ headersMs: 1_000, idleMs: 2_000 });
    using silent = new Caller(served);
    using oneByte = new Caller(served);
    oneByte.say('P');
    using slow = new Caller(served);
    slow.say('POST / HTTP/1.1\r\nHost: a\r\n');
    const dribble = setInterval(() => slow.say('X: y\r\n'), 50);
    using second = new Caller(served);
    second.say('GET /_rokka/health HTTP/1.1\r\nHost: a\r\n\r\nGET /_rokka');
    using preface = new Caller(served);
    preface.say('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await describeWorks(served);
    for (const caller of [silent, oneByte, slow, second, preface]) await caller.closed.promise;
    clearInterval(dribble);
    assert.match(second.heard, /^HTTP\/1.1 200/);
    await describeWorks(served);
  },
);

test(
  'a body that does not come in time is refused in the shape of its protocol',
  { timeout: 300_000 },
  async () => {
    await using served = await serve({ bodyMs: 200 });
    using caller = new Caller(served);
    caller.say(`POST / HTTP/1.1\r\nHost: a\r\n${FORM}Content-Length: 1000\r\n\r\nAction=`);
    await caller.closed.promise;
    assert.match(caller.heard, /^HTTP\/1.1 408 .*<ErrorResponse>.*<Code>RequestTimeout</s);
  },
);

test('a body that is too large is refused in the shape of its protocol', { timeout: 300_000 }, async () => {
  await using served = await serve({ bodyBytesMax: 1000 });
  const post = async (type: string, headers = {}) => {
    const body = 'x'.repeat(5000);
    const response = await fetch(served.gateway.url, {
      method: 'POST',
      body,
      headers: { 'content-type': type, ...headers },
    });
    return { status: response.status, text: await response.text() };
  };
  const query = await post('application/x-www-form-urlencoded');
  assert.equal(query.status, 413);
  assert.match(query.text, /<ErrorResponse>.*<Code>RequestEntityTooLarge<.*larger than 1000 bytes/s);
  const rpc = await post('application/x-amz-json-1.1');
  assert.match(rpc.text, /"__type":"RequestEntityTooLargeException"/);
  const ec2 = await post('application/x-www-form-urlencoded', {
    authorization:
      'AWS4-HMAC-SHA256 Credential=a/20260131/r/ec2/aws4_request, SignedHeaders=host, Signature=x',
  });
  assert.match(ec2.text, /^<\?xml.*<Response><Errors><Error><Code>RequestEntityTooLarge/s);
  using endless = new Caller(served);
  endless.say(`POST / HTTP/1.1\r\nHost: a\r\n${FORM}Transfer-Encoding: chunked\r\n\r\n`);
  const more = setInterval(() => endless.say(`1000\r\n${'y'.repeat(4096)}\r\n`), 5);
  await endless.closed.promise;
  clearInterval(more);
  assert.match(endless.heard, /^HTTP\/1.1 413/);
});

test('of a body of a gigabyte nothing is kept, by either version of HTTP', { timeout: 600_000 }, async () => {
  await using served = await serve();
  const before = process.memoryUsage().rss;
  let most = before;
  const chunk = Buffer.alloc(CHUNK_BYTES, 'x');
  /** Until the other side does not want it any more. */
  const sayAll = async (stream: Writable) => {
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
    let said = 0;
    for (; said < GIGABYTE && !stream.destroyed; said += CHUNK_BYTES) {
      most = Math.max(most, process.memoryUsage().rss);
      if (stream.write(chunk)) continue;
      const drained = new Promise<void>((resolve) => void stream.once('drain', resolve));
      await Promise.race([drained, closed]);
    }
    await closed;
    assert.ok(said < GIGABYTE / 4, `${said} bytes were taken`);
  };
  using caller = new Caller(served);
  caller.say(`POST / HTTP/1.1\r\nHost: a\r\n${FORM}Content-Length: ${GIGABYTE}\r\n\r\n`);
  await sayAll(caller.socket);
  assert.match(caller.heard, /^HTTP\/1.1 413 .*<Code>RequestEntityTooLarge</s);

  const session = http2.connect(served.gateway.url);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': '/',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': GIGABYTE,
  });
  stream.on('error', () => {});
  const [answer, status] = [text(stream), once(stream, 'response')];
  await sayAll(stream);
  assert.equal((await status)[0][':status'], 413);
  assert.match(await answer, /<Code>RequestEntityTooLarge</);
  session.destroy();
  const grownMiB = Math.round((most - before) / 2 ** 20);
  assert.ok(grownMiB < GROWN_MIB_MAX, `${grownMiB} MiB more while two gigabytes were said`);
  await describeWorks(served);
});

test('who goes on writing reads why he is refused', { timeout: 300_000 }, async () => {
  await using served = await serve({ bodyBytesMax: 1000 });
  using caller = new Caller(served);
  caller.socket.pause();
  caller.say(`POST / HTTP/1.1\r\nHost: a\r\n${FORM}Content-Length: ${GIGABYTE}\r\n\r\n`);
  caller.socket.write(Buffer.alloc(REFUSED_BYTES, 'x'));
  // It is refused meanwhile.
  await systemClock.sleep(300);
  caller.socket.resume();
  await caller.closed.promise;
  assert.match(caller.heard, /^HTTP\/1.1 413 .*<Code>RequestEntityTooLarge</s);
});

test(
  'bodies of all together are bounded, and what they took is given back',
  { timeout: 300_000 },
  async () => {
    await using served = await serve({ bodyBytesMax: 1000, bodiesBytesMax: 1500 });
    using first = new Caller(served);
    first.say(`POST / HTTP/1.1\r\nHost: a\r\n${FORM}Content-Length: 1000\r\n\r\n${'x'.repeat(999)}`);
    while ((await postOf(served, 900)) !== 503) await systemClock.sleep(10);
    first.socket.destroy();
    while ((await postOf(served, 900)) !== 403) await systemClock.sleep(10);
  },
);

async function postOf(served: Served, bytes: number): Promise<number> {
  const response = await fetch(served.gateway.url, { method: 'POST', body: 'x'.repeat(bytes) });
  await response.text();
  return response.status;
}

test(
  'calls beyond the bound are throttled, and connections beyond it closed',
  { timeout: 300_000 },
  async () => {
    await using served = await serve({
      callsMax: 2,
      connectionsMax: 6,
      headersMs: NEVER_MS,
      idleMs: NEVER_MS,
    });
    const release = new Deferred<void>();
    served.stage.hold = () => release.promise;
    const rds = rdsOf(served);
    const held = [rds.send(CREATE), rds.send(CREATE)];
    while (served.stage.seen.length < 2) await systemClock.sleep(5);
    await assert.rejects(rds.send(new DescribeDBClustersCommand({})), { name: 'Throttling' });
    rds.destroy();
    release.resolve();
    await Promise.allSettled(held);
    const callers = Array.from({ length: 20 }, () => new Caller(served));
    const open = () => callers.filter((caller) => !caller.socket.destroyed);
    for (const untilMs = systemClock.nowMs() + CLOSED_MS; open().length > 6;) {
      assert.ok(systemClock.nowMs() < untilMs, `${open().length} connections were let in`);
      await systemClock.sleep(20);
    }
    for (const caller of callers) caller[Symbol.dispose]();
    for (const caller of callers) await caller.closed.promise;
    while ((await health(served).catch(() => undefined))?.status !== 200) await systemClock.sleep(20);
  },
);

test('a client that goes away takes nothing with it', { timeout: 300_000 }, async () => {
  await using served = await serve();
  const aborted = new Deferred<void>();
  served.stage.hold = (signal) => {
    signal.addEventListener('abort', () => aborted.resolve());
    return aborted.promise;
  };
  const abort = new AbortController();
  const sending = rdsOf(served).send(CREATE, { abortSignal: abort.signal });
  while (served.stage.seen.length === 0) await systemClock.sleep(5);
  abort.abort();
  await assert.rejects(sending);
  await aborted.promise;
  served.stage.hold = undefined;
  while (served.audit.records.length === 0) await systemClock.sleep(5);
  await describeWorks(served);
  assert.deepEqual(served.log, []);
});

test('who resets streams of HTTP/2, or breaks its rules, harms nobody', { timeout: 300_000 }, async () => {
  await using served = await serve();
  using broken = new Caller(served);
  broken.say(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(100)}`);
  await broken.closed.promise;
  const session = http2.connect(served.gateway.url);
  session.on('error', () => {});
  for (let i = 0; i < 50; i++) {
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => {});
    stream.close(http2.constants.NGHTTP2_CANCEL);
  }
  const whole = session.request({ ':path': '/_rokka/health' });
  assert.match(await text(whole), /"status":"ok"/);
  session.destroy();
  await describeWorks(served);
});

test('bytes of any kind on the port harm nobody', { timeout: 300_000 }, async () => {
  await using served = await serve({ headersMs: 500, bodyMs: 500 });
  const random = new SeededRandom(Number(process.env['ROKKA_SEED'] ?? 1));
  const noise = () => Buffer.from(random.hex(random.below(200)), 'hex').toString('latin1');
  const openings = [
    () => '',
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    () => 'POST / HTTP/1.1\r\nHost: a\r\n',
    () => `POST / HTTP/1.1\r\nHost: a\r\n${FORM}Content-Length: ${random.below(300)}\r\n\r\n`,
    () => 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n',
    () => 'GET http://a/_rokka/health HTTP/1.1\r\nHost: a\r\n\r\n',
  ];
  for (let round = 0; round < 10; round++) {
    const callers = Array.from({ length: 30 }, () => new Caller(served));
    for (const caller of callers) caller.say(random.pick(openings)() + noise());
    await Promise.all(callers.map((caller) => Promise.race([caller.closed.promise, systemClock.sleep(30)])));
    for (const caller of callers) caller[Symbol.dispose]();
  }
  await describeWorks(served);
  assert.deepEqual(served.log, []);
});

test('a gateway that ends lets calls end, and takes no new ones', { timeout: 300_000 }, async () => {
  const served = await serve();
  const release = new Deferred<void>();
  served.stage.hold = () => release.promise;
  const session = http2.connect(served.gateway.url);
  session.on('error', () => {});
  await new Promise((resolve) => session.once('connect', resolve));
  const sending = rdsOf(served).send(CREATE);
  while (served.stage.seen.length === 0) await systemClock.sleep(5);
  const ending = served[Symbol.asyncDispose]();
  await assert.rejects(health(served));
  release.resolve();
  assert.equal((await sending).DBCluster?.Status, 'creating');
  await ending;
  await served[Symbol.asyncDispose]();
  session.destroy();
});

test('a gateway that ends waits for nobody longer than it says', { timeout: 300_000 }, async () => {
  const served = await serve({ closeMs: 100 });
  const never = new Deferred<void>();
  const aborted = new Deferred<void>();
  served.stage.hold = (signal) => {
    signal.addEventListener('abort', () => aborted.resolve());
    return never.promise;
  };
  const sending = rdsOf(served).send(CREATE);
  const failed = assert.rejects(sending);
  while (served.stage.seen.length === 0) await systemClock.sleep(5);
  await served[Symbol.asyncDispose]();
  await failed;
  await aborted.promise;
});

test('a port that is taken is said by its number', async () => {
  await using served = await serve();
  const again = openGateway({
    services: [],
    credentials: credentialsOf(),
    authorizer: new TestAuthorizer(),
    audit: new TestAudit(),
    clock: systemClock,
    random: systemRandom,
    log: () => {},
    port: served.gateway.port,
  });
  await assert.rejects(again, (error) => isCoded(error, 'GATEWAY_ADDRESS_USED'));
});
