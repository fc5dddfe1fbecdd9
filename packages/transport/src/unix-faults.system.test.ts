/** What strangers, slow readers and dead processes do to real sockets. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, Deferred, systemClock, type CodedError } from '@rokka/kernel';
import type { ConnectionHandler } from './connection.ts';
import { encodeFrame } from './frame.ts';
import { PREAMBLE } from './preamble.ts';
import { unixNetwork, type UnixNetworkOptions } from './unix-network.ts';

const TEST = { timeout: 180_000 };
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: 60_000 });

/** A listener in a directory of its own that keeps the reasons for which its connections ended. */
async function listening(options: Partial<UnixNetworkOptions> = {}) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-transport-'));
  const address = path.join(directory, 'node.sock');
  const refused = new Deferred<CodedError>();
  const closed = new Deferred<CodedError>();
  const frames: string[] = [];
  const network = unixNetwork({ clock: systemClock, onRefused: refused.resolve, ...options });
  const handler: ConnectionHandler = {
    onFrame: (_, { body }) => void frames.push(Buffer.from(body).toString()),
    onClose: (_, reason) => closed.resolve(reason),
  };
  const listener = await network.listen(address, () => handler);
  return {
    directory,
    address,
    network,
    frames,
    handler,
    refused: () => within(refused.promise, 'the refusal'),
    closed: () => within(closed.promise, 'the end'),
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      fs.rmSync(directory, { recursive: true });
    },
  };
}

/** A raw client that sends `bytes` and reads whatever comes; errors are expected of it. */
function stranger(address: string, ...bytes: Uint8Array[]) {
  const socket = net.connect(address);
  const gone = new Deferred<void>();
  socket.on('error', () => {}).on('close', () => gone.resolve());
  socket.resume();
  for (const part of bytes) socket.write(part);
  return { socket, gone: () => within(gone.promise, 'the close') };
}

test('an HTTP client is told off', TEST, async () => {
  await using at = await listening();
  const { gone } = stranger(at.address, Buffer.from('GET / HTTP/1.1\r\nHost: petals\r\n\r\n'));
  const reason = await at.refused();
  assert.equal(reason.code, 'TRANSPORT_NOT_ROKKA');
  assert.match(reason.message, /GET \/ HT/);
  await gone();
});

test('who does not greet in time is closed', TEST, async () => {
  await using at = await listening({ preambleTimeoutMs: 50 });
  const { gone } = stranger(at.address, PREAMBLE.subarray(0, 5));
  assert.equal((await at.refused()).code, 'TRANSPORT_PREAMBLE_LATE');
  await gone();
});

test('a listener that is no Rokka is named as such', TEST, async () => {
  await using at = await listening();
  const address = path.join(at.directory, 'other.sock');
  const server = net.createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n'));
  server.listen(address);
  await once(server, 'listening');
  await assert.rejects(at.network.connect(address, at.handler, { timeoutMs: 60_000 }), {
    code: 'TRANSPORT_NOT_ROKKA',
  });
  server.close();
});

test('a listener that accepts and says nothing comes to the deadline', TEST, async () => {
  await using at = await listening();
  const address = path.join(at.directory, 'silent.sock');
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => accepted.push(socket.on('error', () => {})));
  server.listen(address);
  await once(server, 'listening');
  await assert.rejects(at.network.connect(address, at.handler, { timeoutMs: 50 }), {
    code: 'KERNEL_DEADLINE',
  });
  for (const socket of accepted) socket.destroy();
  server.close();
});

test('a frame that claims 4 GB is refused by its header', TEST, async () => {
  await using at = await listening();
  const before = process.memoryUsage.rss();
  stranger(at.address, PREAMBLE, encodeFrame(1, 0, [Buffer.from('fine')]), Buffer.alloc(16, 0xff));
  assert.equal((await at.closed()).code, 'TRANSPORT_FRAME_TOO_LONG');
  assert.deepEqual(at.frames, ['fine']);
  assert.ok(process.memoryUsage.rss() - before < 256 * 1024 * 1024);
});

test('a damaged frame ends the connection after the frames before it', TEST, async () => {
  await using at = await listening();
  const damaged = encodeFrame(1, 0, [Buffer.from('damaged')]);
  damaged[20] = 0;
  stranger(at.address, PREAMBLE, encodeFrame(1, 0, [Buffer.from('fine')]), damaged);
  assert.equal((await at.closed()).code, 'TRANSPORT_FRAME_DAMAGED');
  assert.deepEqual(at.frames, ['fine']);
});

test('a frame that is cut by the end of its sender is not delivered', TEST, async () => {
  await using at = await listening();
  stranger(
    at.address,
    PREAMBLE,
    encodeFrame(1, 0, [Buffer.from('half a word')]).subarray(0, 20),
  ).socket.end();
  const reason = await at.closed();
  assert.equal(reason.code, 'TRANSPORT_FRAME_CUT');
  assert.deepEqual(at.frames, []);
});

test('a connection on which nothing arrives is closed where that was asked for', TEST, async () => {
  await using at = await listening({ idleTimeoutMs: 1_000 });
  const { socket } = stranger(at.address, PREAMBLE, encodeFrame(1, 0, []));
  await within(once(socket, 'data'), 'the greeting');
  socket.write(encodeFrame(1, 0, []));
  assert.equal((await at.closed()).code, 'TRANSPORT_IDLE');
  assert.equal(at.frames.length, 2);
});

test(
  'a reader that stops reading costs no more than the limit, and closing does not wait for it',
  TEST,
  async () => {
    await using at = await listening();
    const address = path.join(at.directory, 'slow.sock');
    const limit = 9 * 1024 * 1024;
    const network = unixNetwork({ clock: systemClock, sendLimitBytes: limit });
    const accepted = new Deferred<net.Socket>();
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {}).write(PREAMBLE);
      accepted.resolve(socket);
    });
    server.listen(address);
    await once(server, 'listening');
    const closed = new Deferred<CodedError>();
    const handler: ConnectionHandler = { onFrame() {}, onClose: (_, reason) => closed.resolve(reason) };
    const connection = await network.connect(address, handler, { timeoutMs: 60_000 });
    const body = new Uint8Array(64 * 1024);
    let sent = 0;
    for (let turn = 0; turn < 50; turn++) {
      while (connection.send(1, 0, [body])) sent += body.length;
      assert.ok(connection.bufferedBytes <= limit, `${connection.bufferedBytes} bytes are buffered`);
      await systemClock.sleep(1);
    }
    assert.ok(sent < limit + 4 * 1024 * 1024, `${sent} bytes were accepted`);
    connection.close();
    assert.equal((await within(closed.promise, 'the end')).code, 'TRANSPORT_CLOSED_HERE');
    (await accepted.promise).destroy();
    server.close();
  },
);

test('more connections than allowed are closed as they come', TEST, async () => {
  await using at = await listening({ connectionsMax: 2 });
  const connect = () => at.network.connect(at.address, at.handler, { timeoutMs: 60_000 });
  const connections = [await connect(), await connect()];
  await assert.rejects(connect, { code: 'TRANSPORT_UNREACHABLE' });
  for (const connection of connections) connection.close();
});

test('the socket belongs to its owner alone, its directory too', TEST, async () => {
  await using at = await listening();
  const address = path.join(at.directory, 'new', 'deep', 'node.sock');
  await using _listener = await at.network.listen(address, () => at.handler);
  assert.equal(fs.statSync(address).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(address)).mode & 0o777, 0o700);
  const open = path.join(at.directory, 'open');
  fs.mkdirSync(open);
  fs.chmodSync(open, 0o777);
  await assert.rejects(
    at.network.listen(path.join(open, 'node.sock'), () => at.handler),
    { code: 'TRANSPORT_PERMISSION' },
  );
});

test('the socket that a killed process left is replaced', TEST, async () => {
  await using at = await listening();
  const address = path.join(at.directory, 'stale.sock');
  const program = `require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))`;
  const child = spawn(process.execPath, ['-e', program, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await within(once(child.stdout, 'data'), 'the other process');
    await assert.rejects(
      at.network.listen(address, () => at.handler),
      { code: 'TRANSPORT_ADDRESS_USED' },
    );
  } finally {
    child.kill('SIGKILL');
  }
  await once(child, 'exit');
  assert.ok(fs.existsSync(address), 'the kill left the socket behind');
  await assert.rejects(at.network.connect(address, at.handler, { timeoutMs: 60_000 }), {
    code: 'TRANSPORT_UNREACHABLE',
  });
  {
    await using _listener = await at.network.listen(address, () => at.handler);
    (await at.network.connect(address, at.handler, { timeoutMs: 60_000 })).close();
  }
  assert.ok(!fs.existsSync(address), 'disposing removes the socket');
});

test('a file that is no socket is left alone', TEST, async () => {
  await using at = await listening();
  const address = path.join(at.directory, 'letter');
  fs.writeFileSync(address, 'dear reader');
  await assert.rejects(
    at.network.listen(address, () => at.handler),
    { code: 'TRANSPORT_ADDRESS_USED' },
  );
  assert.equal(fs.readFileSync(address, 'utf8'), 'dear reader');
});

test('a long path works through its directory and leaves no descriptor behind', TEST, async () => {
  await using at = await listening();
  const deep = path.join(at.directory, 'six-petals-'.repeat(15));
  const address = path.join(deep, 'node.sock');
  const descriptors = () =>
    fs.readdirSync('/proc/self/fd').filter((fd) => {
      const link = `/proc/self/fd/${fd}`;
      // The descriptor with which this directory was read is gone by now.
      return fs.existsSync(link) && fs.readlinkSync(link).startsWith(deep);
    });
  {
    await using _listener = await at.network.listen(address, () => at.handler);
    (await at.network.connect(address, at.handler, { timeoutMs: 60_000 })).close();
    assert.ok(fs.existsSync(address));
    assert.equal(descriptors().length, 1);
  }
  assert.ok(!fs.existsSync(address));
  assert.deepEqual(descriptors(), []);
  await assert.rejects(
    at.network.listen(path.join(deep, 'n'.repeat(120)), () => at.handler),
    { code: 'TRANSPORT_PATH_TOO_LONG' },
  );
  const nowhere = path.join(at.directory, 'nowhere-'.repeat(20), 'node.sock');
  await assert.rejects(at.network.connect(nowhere, at.handler, { timeoutMs: 60_000 }), {
    code: 'TRANSPORT_UNREACHABLE',
  });
});
