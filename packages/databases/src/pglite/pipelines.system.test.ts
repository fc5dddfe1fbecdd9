/** Messages that drivers send and `pg` does not: the unnamed statement by itself, many batches at once. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { Deferred } from '@rokka/kernel';
import { Running } from './testing/running.ts';
import {
  errorFields,
  FromBackend,
  FromClient,
  HEADER_BYTES,
  message,
  queryMessage,
  rowValues,
  SYNC_MESSAGE,
  zeroTerminated,
} from './wire-messages.ts';

const timeout = 300_000;
const CLIENTS = 8;
const BATCHES = 200;
const EMPTY = zeroTerminated('');
const BIND = message(FromClient.bind, EMPTY, EMPTY, Buffer.alloc(6));
const EXECUTE = message(FromClient.execute, EMPTY, Buffer.alloc(4));
const RUN = [BIND, EXECUTE, SYNC_MESSAGE];

let running: Running;

before(async () => {
  running = await Running.start({ connectionsMax: 30, waitMs: 120_000 });
  await running.database.query('create table piped (client int, n int)');
});

after(async () => {
  await running[Symbol.asyncDispose]();
});

const prepare = (sql: string) => [
  message(FromClient.parse, EMPTY, zeroTerminated(sql), Buffer.alloc(2)),
  SYNC_MESSAGE,
];

/** A client that has logged in, and whose messages are its own. */
async function rawClient() {
  const client = await running.client();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners('data');
  let held: Buffer = Buffer.alloc(0);
  let answer: string[] = [];
  let answers: string[][] = [];
  let wanted = 0;
  let all = new Deferred<string[][]>();
  stream.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= HEADER_BYTES && held.length > held.readUInt32BE(1)) {
      const one = held.subarray(0, 1 + held.readUInt32BE(1));
      held = held.subarray(one.length);
      if (one[0] === FromBackend.dataRow) answer.push(rowValues(one).join());
      if (one[0] === FromBackend.error) answer.push(errorFields(one).get('C') ?? '');
      if (one[0] !== FromBackend.ready) continue;
      answers.push(answer);
      answer = [];
      if (answers.length === wanted) all.resolve(answers);
    }
  });
  /** What each of the batches came to: the values of its rows, the codes of its errors. */
  return (count: number, ...messages: Buffer[]): Promise<string[][]> => {
    [answers, wanted, all] = [[], count, new Deferred()];
    stream.write(Buffer.concat(messages));
    return all.promise;
  };
}

test('the unnamed statement is that of its session alone', { timeout }, async () => {
  const [a, b] = [await rawClient(), await rawClient()];
  await a(1, ...prepare('copy piped from stdin'));
  assert.deepEqual(await b(1, ...RUN), [['26000']]);
  await a(1, ...prepare('select 42'));
  await b(1, ...prepare('listen x'));
  await b(1, message(FromClient.close, Buffer.from('S'), EMPTY), SYNC_MESSAGE);
  assert.deepEqual(await a(1, ...RUN), [['42']]);
});

test('the unnamed statement outlives what is done for others, and in front of it', { timeout }, async () => {
  const a = await rawClient();
  await a(1, ...prepare('select 42'));
  await running.database.query("set work_mem = '1MB'");
  await running.client({ options: '-c work_mem=2MB' });
  assert.deepEqual(await a(1, ...RUN), [['42']]);
  await a(1, ...prepare('select pg_try_advisory_lock(7)'));
  assert.deepEqual(await a(1, ...RUN), [['t']]);
  assert.deepEqual(await a(1, queryMessage('discard all')), [[]]);
});

test('who sends many batches at once has their answers in order, each once', { timeout }, async () => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient()));
  const works = clients.map(async (send, client) => {
    const sql = Array.from({ length: BATCHES }, (_, n) => {
      if (n % 20 === 7) return 'begin';
      if (n % 20 === 9) return 'select 1/0';
      if (n % 20 === 11) return 'rollback';
      return `insert into piped values (${client}, ${n}) returning client, n`;
    });
    const answers = await send(BATCHES, ...sql.map((one) => queryMessage(one)));
    for (const [n, answer] of answers.entries()) {
      const expected = sql[n].startsWith('insert') ? [n % 20 === 10 ? '25P02' : `${client},${n}`] : [];
      assert.deepEqual(answer, n % 20 === 9 ? ['22012'] : expected, `${client}: ${sql[n]}`);
    }
  });
  await Promise.all(works);
  const { rows } = await running.database.query('select client, n from piped order by client, n');
  const kept = Array.from({ length: BATCHES }, (_, n) => n).filter((n) => n % 20 < 7 || n % 20 > 11);
  assert.deepEqual(
    rows,
    clients.flatMap((_, client) => kept.map((n) => ({ client, n }))),
  );
});
