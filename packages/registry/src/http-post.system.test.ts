/** One POST over real sockets: what it keeps, how long it waits, and what it knows when it fails. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { httpPost, PostFailure } from './http-post.ts';

const timeout = 180_000;
const LONG_MS = 60_000;

/** A server that answers with `answer`, and the way to ask it. */
async function serve(answer: (response: http.ServerResponse, body: string) => unknown) {
  let connections = 0;
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void answer(response, Buffer.concat(chunks).toString()));
  });
  server.on('connection', () => connections++);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const post = httpPost({ clock: systemClock });
  const endpoint = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  return {
    connections: () => connections,
    ask: (body: string, silenceMs = LONG_MS, totalMs = LONG_MS) =>
      post(endpoint, '/v3/x', body, { silenceMs, totalMs }),
    async [Symbol.asyncDispose]() {
      post.close?.();
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

const fails = (sent: boolean, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof PostFailure, String(error));
  assert.match(error.message, words);
  assert.equal(error.sent, sent);
  return true;
};

test('connections are kept', { timeout }, async () => {
  await using server = await serve((response, body) => response.end(`${body} é`));
  for (let i = 0; i < 5; i++) assert.deepEqual(await server.ask(`${i} ü`), { status: 200, text: `${i} ü é` });
  assert.equal(server.connections(), 1);
});

test('where nobody listens nothing was sent', { timeout }, async () => {
  const server = net.createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as net.AddressInfo;
  await once(server.close(), 'close');
  const post = httpPost({ clock: systemClock });
  const limits = { silenceMs: LONG_MS, totalMs: LONG_MS };
  for (const host of ['127.0.0.1', 'localhost'])
    await assert.rejects(post(`http://${host}:${port}`, '/', '{}', limits), fails(false, /ECONNREFUSED/));
  await assert.rejects(
    post('http://no-such-host.invalid:1', '/', '{}', limits),
    fails(false, /no-such-host/),
  );
  post.close?.();
});

test('a connection that breaks may have carried the request', { timeout }, async () => {
  await using server = await serve((response) => response.destroy());
  await assert.rejects(server.ask('{}'), fails(true, /hang up|ECONNRESET/));
  await using half = await serve((response) => {
    response.writeHead(200, { 'content-length': 10 });
    response.write('half', () => response.destroy());
  });
  await assert.rejects(half.ask('{}'), fails(true, /aborted|ECONNRESET/));
});

test('silence ends it, and so does its time; what moves may go on', { timeout }, async () => {
  await using mute = await serve(() => {});
  // Long enough for it to be sent.
  await assert.rejects(mute.ask('{}', 1_000), fails(true, /no answer within 1000 ms/));
  await using slow = await serve(async (response) => {
    for (let i = 0; i < 8; i++) {
      response.write(`${i} `);
      await systemClock.sleep(300);
    }
    response.end();
  });
  assert.equal((await slow.ask('{}', LONG_MS)).text, '0 1 2 3 4 5 6 7 ');
  await assert.rejects(slow.ask('{}', LONG_MS, 1_000), fails(true, /no answer within 1000 ms/));
});
