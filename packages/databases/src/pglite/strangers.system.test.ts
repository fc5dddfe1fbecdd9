/** What strangers, broken clients and slow ones do to the wire, and what they do not: stop the others. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock, type CodedError } from '@rokka/kernel';
import { errorFields } from './wire-messages.ts';
import { Running } from './testing/running.ts';

const garbage: CodedError[] = [];
let running: Running;

before(async () => {
  running = await Running.start({
    // Long enough for all others, however busy the machine is.
    loginTimeoutMs: 5_000,
    stallTimeoutMs: 5_000,
    connectionsMax: 12,
    messageBytesMax: 1024 * 1024,
    onGarbage: (error) => {
      garbage.push(error);
    },
  });
});

after(async () => {
  await running[Symbol.asyncDispose]();
});

/** Sends `bytes` and answers all that comes until the server closes. */
async function talk(bytes: Uint8Array | string): Promise<Buffer> {
  const socket = await dial();
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(bytes);
  await closed(socket);
  return Buffer.concat(chunks);
}

async function dial(): Promise<Socket> {
  const socket = connect(running.port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function startup(parameters: Record<string, string>, code = 0x0003_0000): Buffer {
  const body = Buffer.from(`${Object.entries(parameters).flat().join('\0')}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

async function stillAnswers(): Promise<void> {
  const { rows } = await running.database.query('select 1 as x');
  assert.deepEqual(rows, [{ x: 1 }]);
}

test('a wrong password and an unknown user get the same answer', { timeout: 300_000 }, async () => {
  await assert.rejects(running.client({ password: 'wrong' }), { code: '28P01' });
  await assert.rejects(running.client({ user: 'nobody' }), { code: '28P01' });
  const { stdout } = await running.tool('psql', ['-Atc', 'select 1']);
  assert.equal(stdout, '1\n');
});

test('what is no PostgreSQL is told off once and closed', { timeout: 300_000 }, async () => {
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    Buffer.alloc(64, 0xff),
  ]) {
    const before = garbage.length;
    const answer = await talk(bytes);
    const fields = errorFields(answer);
    assert.equal(fields.get('C'), '08P01');
    assert.match(fields.get('M') ?? '', /DATABASE_WIRE_GARBAGE/);
    assert.equal(garbage.length, before + 1);
  }
  assert.equal(errorFields(await talk(startup({ user: 'postgres' }, 0x0002_0000))).get('C'), '08P01');
  await stillAnswers();
});

test('encryption is declined, a query before the password is refused', { timeout: 300_000 }, async () => {
  const request = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
  const query = Buffer.from('Q\0\0\0\rselect 1\0', 'latin1');
  const answer = await talk(Buffer.concat([request, startup({ user: 'postgres' }), query]));
  assert.equal(answer.subarray(0, 1).toString(), 'N');
  assert.equal(String.fromCharCode(answer[1]), 'R');
  const asked = answer.subarray(1, 2 + answer.readUInt32BE(2));
  assert.equal(errorFields(answer.subarray(1 + asked.length)).get('C'), '08P01');
});

test('who does not log in is cut off', { timeout: 300_000 }, async () => {
  const socket = await dial();
  socket.resume();
  socket.write(startup({ user: 'postgres' }).subarray(0, 5));
  await closed(socket);
  await stillAnswers();
});

test('a message beyond the limit ends the connection before it is read', { timeout: 300_000 }, async () => {
  const client = await running.client();
  await assert.rejects(client.query(`select length('${'x'.repeat(2 * 1024 * 1024)}')`), { code: '08P01' });
  await stillAnswers();
});

test('too many clients', { timeout: 300_000 }, async () => {
  const clients = [];
  for (;;) {
    try {
      clients.push(await running.client());
    } catch (error) {
      assert.equal((error as { code?: string }).code, '53300');
      break;
    }
    assert.ok(clients.length < 50);
  }
  for (const client of clients) await client.end();
  await stillAnswers();
});

test('a client that vanishes in the middle of COPY leaves nothing', { timeout: 300_000 }, async () => {
  await running.database.exec('create table half (a int)');
  const client = await running.client();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  client.query('copy half from stdin').catch(() => {});
  await new Promise<void>((resolve) => stream.once('data', () => resolve()));
  stream.write(Buffer.from('d\0\0\0\x061\n', 'latin1'));
  await systemClock.sleep(50);
  stream.destroy();
  const { rows } = await running.database.query('select count(*)::int as n from half');
  assert.deepEqual(rows, [{ n: 0 }]);
});

test('a client that does not read is cut off, and the engine goes on', { timeout: 300_000 }, async () => {
  const client = await running.client();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  client.query(`select repeat('x', 1000) from generate_series(1, 200000)`).catch(() => {});
  await new Promise<void>((resolve) => stream.once('data', () => resolve()));
  stream.pause();
  await stillAnswers();
  stream.destroy();
});

test(
  'a message that nobody knows ends its connection, and not the engine',
  { timeout: 300_000 },
  async () => {
    const { life } = running.database.engine;
    for (const type of ['z', 'p']) {
      const client = await running.client();
      const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
      const over = closed(stream);
      stream.write(Buffer.from(`${type}\0\0\0\x04S\0\0\0\x04`, 'latin1'));
      await over;
      await stillAnswers();
    }
    assert.ok(life && running.database.engine.life === life);
  },
);

test('a connection that is half closed is closed', { timeout: 300_000 }, async () => {
  const socket = await dial();
  socket.resume();
  socket.write(startup({ user: 'postgres', database: 'postgres' }));
  socket.end();
  await closed(socket);
  await stillAnswers();
});
