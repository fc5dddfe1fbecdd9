/**
 * What every Network must do, as tests that run against each implementation. `make` gives a network and an address on
 * which nobody listens.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadline, Deferred, isCoded, type CodedError } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Network } from '../connection.ts';
import { transportErrors } from '../errors.ts';

export interface NetworkUnderTest {
  network: Network;
  address: string;
}

const WAIT_MS = 60_000;
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: WAIT_MS });

interface Received {
  type: number;
  requestId: number;
  body: string;
}

/** A handler that keeps what it is told. */
class Recorder implements ConnectionHandler {
  readonly frames: Received[] = [];
  readonly batchEnds: number[] = [];
  readonly closed = new Deferred<CodedError>();
  readonly #frameWaiters: { count: number; arrived: Deferred<void> }[] = [];
  readonly #answer: ((connection: Connection, frame: Received) => void) | undefined;
  closes = 0;

  constructor(answer?: (connection: Connection, frame: Received) => void) {
    this.#answer = answer;
  }

  onFrame(connection: Connection, frame: { type: number; requestId: number; body: Uint8Array }): void {
    const received = {
      type: frame.type,
      requestId: frame.requestId,
      body: Buffer.from(frame.body).toString(),
    };
    this.frames.push(received);
    for (const waiter of this.#frameWaiters) if (this.frames.length >= waiter.count) waiter.arrived.resolve();
    this.#answer?.(connection, received);
  }

  onBatchEnd(): void {
    this.batchEnds.push(this.frames.length);
  }

  onClose(_connection: Connection, reason: CodedError): void {
    this.closes++;
    this.closed.resolve(reason);
  }

  async count(count: number): Promise<void> {
    const arrived = new Deferred<void>();
    this.#frameWaiters.push({ count, arrived });
    if (this.frames.length >= count) return;
    await within(arrived.promise, `${count} frames`);
  }

  reason(): Promise<CodedError> {
    return within(this.closed.promise, 'the end of the connection');
  }
}

export function networkConformance(
  name: string,
  make: () => Promise<NetworkUnderTest & AsyncDisposable>,
): void {
  const check = (what: string, run: (under: NetworkUnderTest) => Promise<void>): void =>
    void test(`${name}: ${what}`, { timeout: 180_000 }, async () => {
      await using under = await make();
      await run(under);
    });

  check('frames arrive whole and in order, and answers come back', async ({ network, address }) => {
    const server = new Recorder((connection, { type, requestId, body }) => {
      connection.send(type + 1, requestId, [Buffer.from(`re:${body}`)]);
    });
    await using _listener = await network.listen(address, () => server);
    const client = new Recorder();
    const connection = await network.connect(address, client, { timeoutMs: WAIT_MS });
    for (let i = 1; i <= 50; i++)
      assert.equal(connection.send(7, i, [Buffer.from('no '), Buffer.from(`${i}`)]), true);
    await client.count(50);
    const expected = Array.from({ length: 50 }, (_, i) => ({
      type: 8,
      requestId: i + 1,
      body: `re:no ${i + 1}`,
    }));
    assert.deepEqual(client.frames, expected);
    assert.equal(server.batchEnds.at(-1), 50);
    connection.close();
  });

  check('an empty body and one of many pages arrive', async ({ network, address }) => {
    const server = new Recorder();
    await using _listener = await network.listen(address, () => server);
    const connection = await network.connect(address, new Recorder(), { timeoutMs: WAIT_MS });
    const large = Buffer.alloc(3_000_000, 'petal');
    assert.equal(connection.send(1, 0, []), true);
    assert.equal(connection.send(2, 0, [large.subarray(0, 10), new Uint8Array(0), large.subarray(10)]), true);
    await server.count(2);
    assert.equal(server.frames[0]?.body, '');
    assert.equal(server.frames[1]?.body, large.toString());
    connection.close();
  });

  check('whoever gave the parts of a frame hears once when they are not needed any more', async (under) => {
    const { network, address } = under;
    const server = new Recorder();
    await using _listener = await network.listen(address, () => server);
    const client = new Recorder();
    const connection = await network.connect(address, client, { timeoutMs: WAIT_MS });
    const left: number[] = [];
    const send = (length: number) =>
      connection.send(1, 0, [Buffer.alloc(length, 1), Buffer.alloc(0)], () => left.push(length));
    for (const length of [3, 100_000]) assert.equal(send(length), true);
    await server.count(2);
    assert.equal(send(200_000), true);
    connection.close();
    await client.reason();
    assert.equal(send(5), false);
    assert.deepEqual(left, [3, 100_000, 200_000]);
  });

  check('closing is told to both sides once, after the frames before it', async ({ network, address }) => {
    const server = new Recorder();
    await using _listener = await network.listen(address, () => server);
    const client = new Recorder();
    const connection = await network.connect(address, client, { timeoutMs: WAIT_MS });
    connection.send(1, 0, [Buffer.from('last words')]);
    connection.close();
    connection.close();
    assert.equal(client.closes, 0, 'onClose comes later, not from within close');
    assert.equal(connection.send(1, 0, []), false);
    assert.equal((await server.reason()).code, 'TRANSPORT_CLOSED');
    assert.equal((await client.reason()).code, 'TRANSPORT_CLOSED_HERE');
    assert.deepEqual(
      server.frames.map((frame) => frame.body),
      ['last words'],
    );
    assert.deepEqual([client.closes, server.closes], [1, 1]);
  });

  check('a coded error of a handler ends the connection with it', async ({ network, address }) => {
    const server = new Recorder(() => {
      throw transportErrors.TRANSPORT_NOT_ROKKA(['a test', 'nonsense']);
    });
    await using _listener = await network.listen(address, () => server);
    const client = new Recorder();
    const connection = await network.connect(address, client, { timeoutMs: WAIT_MS });
    connection.send(1, 0, []);
    connection.send(2, 0, []);
    assert.equal((await server.reason()).code, 'TRANSPORT_NOT_ROKKA');
    assert.equal(server.frames.length, 1);
    assert.ok(isCoded(await client.reason()));
  });

  check('send refuses what exceeds the limit, and drains', async ({ network, address }) => {
    const server = new Recorder();
    await using _listener = await network.listen(address, () => server);
    const drained = new Deferred<void>();
    const client = Object.assign(new Recorder(), { onDrain: () => drained.resolve() });
    const connection = await network.connect(address, client, { timeoutMs: WAIT_MS });
    const body = new Uint8Array(1024 * 1024);
    let sent = 0;
    while (connection.send(1, 0, [body])) sent++;
    assert.ok(sent >= 8 && sent < 40, `${sent} MiB were accepted`);
    assert.ok(connection.bufferedBytes > 0);
    await within(drained.promise, 'the drain');
    assert.equal(connection.bufferedBytes, 0);
    assert.equal(connection.send(1, 0, [body]), true);
    await server.count(sent + 1);
    connection.close();
  });

  check(
    'who is told that its frame has left may close: what was accepted arrives',
    async ({ network, address }) => {
      const server = new Recorder();
      await using _listener = await network.listen(address, () => server);
      const connection = await network.connect(address, new Recorder(), { timeoutMs: WAIT_MS });
      const [first, second] = [new Uint8Array(10_000), new Uint8Array(900_000)];
      assert.ok(connection.send(1, 1, [first], () => connection.close()));
      const accepted = connection.send(1, 2, [second]) ? 2 : 1;
      assert.equal((await server.reason()).code, 'TRANSPORT_CLOSED');
      assert.deepEqual(
        server.frames.map(({ body }) => body.length),
        [first.length, second.length].slice(0, accepted),
      );
    },
  );

  check('nobody there, a second listener, a listener that has gone', async ({ network, address }) => {
    const connect = () => network.connect(address, new Recorder(), { timeoutMs: WAIT_MS });
    await assert.rejects(connect, { code: 'TRANSPORT_UNREACHABLE' });
    const client = new Recorder();
    {
      await using listener = await network.listen(address, () => new Recorder());
      assert.equal(listener.address, address);
      await assert.rejects(
        network.listen(address, () => new Recorder()),
        { code: 'TRANSPORT_ADDRESS_USED' },
      );
      await network.connect(address, client, { timeoutMs: WAIT_MS });
    }
    assert.equal((await client.reason()).code, 'TRANSPORT_CLOSED');
    await assert.rejects(connect, { code: 'TRANSPORT_UNREACHABLE' });
    await using _again = await network.listen(address, () => new Recorder());
    const connection = await connect();
    connection.close();
  });

  check('sides talk from within their handlers', async ({ network, address }) => {
    const bounce =
      (limit: number) =>
      (connection: Connection, { requestId }: Received) => {
        if (requestId < limit) connection.send(1, requestId + 1, []);
        else connection.close();
      };
    const server = new Recorder(bounce(200));
    await using _listener = await network.listen(address, (connection) => {
      connection.send(1, 1, []);
      return server;
    });
    const client = new Recorder(bounce(200));
    await network.connect(address, client, { timeoutMs: WAIT_MS });
    await client.reason();
    await server.reason();
    assert.equal(client.frames.length + server.frames.length, 200);
  });
}
