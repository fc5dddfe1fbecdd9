/** Turns of several clients on an engine that is a stand-in: what lies behind what, and what comes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deferred, settled, VirtualClock } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { EngineLife, GivenBatch, OnReply, Outcome } from './engine-life.ts';
import type { TurnClient } from './turn-client.ts';
import { Turns } from './turns.ts';
import { InputQueue } from './wire-input.ts';
import {
  errorFields,
  FromBackend,
  FromClient,
  message,
  queryMessage,
  readyMessage,
  SYNC_MESSAGE,
  zeroTerminated,
  type WireError,
} from './wire-messages.ts';
import type { WireSession } from './wire-session.ts';

const LIMITS = { idleInTransactionMs: 60_000, waitMs: 10_000, statementTimeoutMs: 0, cancelGraceMs: 1_000 };
const WROTE = 7 as Ticket;

interface Given {
  readonly number: number;
  readonly sql: string;
  readonly batch: Buffer;
  readonly onReply: OnReply;
  readonly outcome: Deferred<Outcome>;
}

/** Batches that were given, in order; the first one runs. */
class LifeStandIn {
  readonly given: Given[] = [];
  readonly cancelled: number[] = [];
  takenBack = 0;
  /** It has begun with more than was heard of it, so that nothing can be had back. */
  isAhead = false;
  onDrain: (() => void) | undefined;
  readonly pages = { durable: WROTE, whenDurable: () => Promise.resolve() };
  functionBodies: string[] = [];
  executed = 0;
  othersWait = () => false;
  readonly contended: boolean[] = [];

  execute(batch: Buffer, onReply: OnReply): GivenBatch {
    const number = ++this.executed;
    this.contended.push(this.othersWait());
    const outcome = new Deferred<Outcome>();
    const sql = batch.toString('latin1', 5, batch.length - 1);
    this.given.push({ number, sql, batch, onReply, outcome });
    return { number, outcome: outcome.promise };
  }

  hasRoomBehind(bytes: number): boolean {
    return this.given.length < 4 && bytes < 4096;
  }

  takeBack(): void {
    if (this.isAhead) return;
    this.takenBack += this.given.length - 1;
    for (const { outcome } of this.given.splice(1)) outcome.resolve('put aside');
  }

  cancel(number: number): void {
    this.cancelled.push(number);
  }

  feed(): void {}

  /** Whatever lies behind one that leaves a transaction open is put aside, as the engine does. */
  async answer(status: 'I' | 'T' | 'E' = 'I', ...before: Buffer[]): Promise<void> {
    const [running] = this.given.splice(0, 1);
    running.onReply(Buffer.concat([...before, readyMessage(status)]), WROTE);
    running.outcome.resolve('done');
    if (status !== 'I') for (const { outcome } of this.given.splice(0)) outcome.resolve('put aside');
    await settled();
  }

  get running(): string[] {
    return this.given.map(({ sql }) => sql);
  }
}

class ClientStandIn implements TurnClient {
  readonly input = new InputQueue();
  readonly congested = false;
  readonly heard: Buffer[] = [];
  readonly session: WireSession;
  readonly #turns: Turns;
  gone = false;
  failure: WireError | undefined;

  constructor(turns: Turns) {
    this.#turns = turns;
    this.session = turns.newSession();
    turns.add(this);
  }

  ask(...sql: string[]): Promise<void> {
    return this.send(...sql.map((one) => queryMessage(one)));
  }

  async send(...messages: Buffer[]): Promise<void> {
    for (const one of messages) this.input.push(one);
    this.#turns.wake(this);
    await settled();
  }

  leave(): void {
    this.gone = true;
    this.#turns.remove(this);
  }

  reply(chunks: readonly Buffer[]): void {
    this.heard.push(...chunks);
  }

  answer(bytes: Buffer): void {
    this.heard.push(bytes);
  }

  fail(error: WireError): void {
    this.failure = error;
    this.leave();
  }

  onTaken(): void {}

  whenRelieved(): void {}
}

function bench(count: number) {
  const clock = new VirtualClock();
  const life = new LifeStandIn();
  const asLife = life as unknown as EngineLife;
  const engine = { user: 'postgres', life: asLife, ready: () => Promise.resolve(asLife), onLost: undefined };
  const turns = new Turns({ engine: engine as unknown as Engine, clock, limits: LIMITS, alone: false });
  const clients = Array.from({ length: count }, () => new ClientStandIn(turns));
  return { clock, life, turns, clients };
}

function messageTypes(batch: Buffer): string {
  let types = '';
  for (let at = 0; at < batch.length; at += 1 + batch.readUInt32BE(at + 1))
    types += String.fromCharCode(batch[at]);
  return types;
}

const insert = (value: number) => `insert into t values (${value})`;

test('what leaves the backend free has others behind it, in the order in which they came', async () => {
  const { life, clients } = bench(3);
  for (const [at, client] of clients.entries()) await client.ask(insert(at));
  assert.deepEqual(life.running, [0, 1, 2].map(insert));
  await life.answer();
  await clients[0].ask(insert(3));
  assert.deepEqual(life.running, [1, 2, 3].map(insert));
  for (let left = 3; left > 0; left--) await life.answer();
  assert.deepEqual(
    clients.map(({ heard }) => heard.length),
    [2, 1, 1],
  );
});

test('the engine knows whether clients wait in the line for it', async () => {
  const { clients, life } = bench(3);
  const [a, b, c] = clients;
  await a.ask('begin');
  await life.answer('T');
  assert.deepEqual(life.contended, [false]);
  await b.ask('begin');
  await a.ask('select 1');
  await life.answer('T');
  assert.deepEqual(life.contended, [false, true]);
  await c.ask('select 2');
  b.leave();
  await settled();
  assert.equal(life.othersWait(), true);
  c.leave();
  await settled();
  assert.equal(life.othersWait(), false);
  await a.ask('select 3');
  assert.equal(life.contended.at(-1), false);
});

test('nobody lies behind one who keeps the backend, and nobody behind what may', async () => {
  const { life, clients } = bench(3);
  const [a, b, c] = clients;
  await a.ask('begin');
  await b.ask(insert(1));
  assert.deepEqual(life.running, ['begin']);
  await life.answer('T');
  await a.ask(insert(2));
  assert.deepEqual(life.running, [insert(2)]);
  await life.answer('T');
  await a.ask('commit');
  assert.deepEqual(life.running, ['commit', insert(1)]);
  await c.ask('begin');
  await a.ask(insert(3));
  assert.deepEqual(life.running, ['commit', insert(1), 'begin']);
  await life.answer();
  await life.answer();
  await life.answer('T');
  await c.ask(insert(4));
  assert.deepEqual(life.running, [insert(4)]);
  await life.answer('T');
  await c.ask('rollback');
  assert.deepEqual(life.running, ['rollback', insert(3)]);
});

test('who lay behind one that kept its transaction comes after it', async () => {
  const { life, clients } = bench(3);
  const [a, b, c] = clients;
  await a.ask('begin');
  await life.answer('T');
  await a.ask('commit');
  await b.ask(insert(1));
  await c.ask('begin');
  // The commit could not even be bound.
  await life.answer('E');
  assert.deepEqual([life.running, life.executed], [[], 4]);
  assert.deepEqual([b.heard, c.heard], [[], []]);
  await a.ask('rollback');
  assert.deepEqual(life.running, ['rollback', insert(1), 'begin']);
  await life.answer();
  await life.answer();
  await life.answer('T');
  assert.deepEqual([b.heard.length, c.heard.length], [1, 1]);
});

test('who lies behind one that takes its time comes back: he can be cancelled, or turned down', async () => {
  const { clock, life, turns, clients } = bench(3);
  const [a, b, c] = clients;
  for (const [at, client] of clients.entries()) await client.ask(insert(at));
  assert.equal(life.given.length, 3);
  clock.advanceTo(clock.nowMs() + 25);
  await settled();
  assert.deepEqual([life.takenBack, life.running], [2, [insert(0)]]);
  turns.cancel(b);
  assert.equal(errorFields(b.heard[0]).get('C'), '57014');
  clock.advanceTo(clock.nowMs() + LIMITS.waitMs);
  await settled();
  assert.equal(errorFields(c.heard[0]).get('C'), '55P03');
  await life.answer();
  assert.equal(a.heard.length, 1);
  await c.ask(insert(9));
  assert.deepEqual(life.running, [insert(9)]);
});

test('a cancel for one that lies behind reaches it when it runs, and nobody else', async () => {
  const { life, turns, clients } = bench(3);
  for (const [at, client] of clients.entries()) await client.ask(insert(at));
  turns.cancel(clients[1]);
  assert.deepEqual(life.cancelled, []);
  await life.answer();
  assert.deepEqual(life.cancelled, [2]);
  await life.answer();
  await life.answer();
  assert.deepEqual(life.cancelled, [2]);
});

test('who goes while he lies behind is cleared away when it has been his turn, before others come', async () => {
  const { life, clients } = bench(3);
  const [a, b, c] = clients;
  await a.ask(insert(0));
  await b.ask(insert(1));
  b.leave();
  await c.ask(insert(2));
  assert.deepEqual(life.running, [insert(0), insert(1)]);
  await life.answer();
  assert.deepEqual(life.cancelled, [2]);
  await life.answer();
  assert.deepEqual(life.running, [insert(2)]);
  assert.deepEqual(b.heard, []);
});

test('work of our own waits until nothing lies behind anything, and does not wait for ever', async () => {
  const { life, turns, clients } = bench(2);
  const [a, b] = clients;
  await a.ask(insert(0));
  const own = turns.internal('checkpoint');
  await b.ask(insert(1));
  assert.deepEqual(life.running, [insert(0)]);
  await life.answer();
  assert.deepEqual(life.running, ['checkpoint']);
  await life.answer();
  assert.deepEqual(await own, []);
  assert.deepEqual(life.running, [insert(1)]);
});

test('where a function may leave settings behind, they are read back after every batch, and nobody lies behind one', async () => {
  const { life, clients } = bench(2);
  const [a, b] = clients;
  life.functionBodies.push("begin perform set_config('app.tenant', who, false); end");
  await a.ask('select f()');
  await b.ask(insert(1));
  assert.deepEqual(life.running, ['select f()']);
  await life.answer();
  assert.match(life.running[0], /session_user/);
  assert.equal(life.given.length, 1);
});

test('settings of others are set while nothing lies behind anything', async () => {
  const { life, clients } = bench(2);
  const [a, b] = clients;
  b.session.settings = new Map([['work_mem', '1MB']]);
  await a.ask(insert(0));
  await b.ask(insert(1));
  assert.deepEqual(life.running, [insert(0)]);
  await life.answer();
  assert.match(life.running[0], /set_config\('work_mem'/);
  await life.answer();
  assert.deepEqual(life.running, [insert(1)]);
});

test('one that did not run because the life had ended comes again, and the one that ran is told', async () => {
  const { life, clients } = bench(2);
  const [a, b] = clients;
  await a.ask(insert(0));
  await b.ask(insert(1));
  const [running, behind] = life.given.splice(0);
  running.outcome.reject(databaseErrors.DATABASE_ENGINE_LOST(['it was killed']));
  behind.outcome.resolve('put aside');
  await settled();
  assert.equal(a.failure?.severity, 'FATAL');
  assert.equal(b.failure, undefined);
  // First what it has left is cleared away.
  await life.answer();
  assert.deepEqual(life.running, [insert(1)]);
});

test('who comes back has the place that he had, and has waited since then', async () => {
  const { clock, life, clients } = bench(7);
  for (const [at, client] of clients.entries()) await client.ask(insert(at));
  for (let left = 7; left > 3; left--) {
    clock.advanceTo(clock.nowMs() + 25);
    await settled();
    await life.answer();
    assert.equal(life.running[0], insert(8 - left));
  }
  clock.advanceTo(clock.nowMs() + 50);
  await settled();
  assert.deepEqual(life.running, [insert(4)]);
  clock.advanceTo(LIMITS.waitMs);
  await settled();
  assert.deepEqual(
    clients.map(({ heard }) => heard.length),
    [1, 1, 1, 1, 0, 2, 2],
  );
});

test('who lies behind one that takes its time comes back, also where the engine was further on than was known', async () => {
  const { clock, life, clients } = bench(3);
  for (const [at, client] of clients.entries()) await client.ask(insert(at));
  life.isAhead = true;
  clock.advanceTo(clock.nowMs() + 25);
  await settled();
  assert.deepEqual(life.running, [0, 1, 2].map(insert));
  life.isAhead = false;
  await life.answer();
  clock.advanceTo(clock.nowMs() + 50);
  await settled();
  assert.deepEqual(life.running, [insert(1)]);
});

test('who is cancelled while he lies behind, and comes back, is cancelled', async () => {
  const { life, turns, clients } = bench(3);
  const [a, b, c] = clients;
  await a.ask(insert(0));
  await b.ask(insert(1));
  await c.ask(insert(2));
  turns.cancel(b);
  await life.answer('T');
  assert.deepEqual(
    b.heard.map((one) => errorFields(one).get('C')),
    ['57014', undefined],
  );
  await a.ask('rollback');
  assert.deepEqual(life.running, ['rollback', insert(2)]);
});

test('what is too large to lie behind others is not looked at each time that anything happens', async () => {
  const { life, clients } = bench(3);
  const [a, b, c] = clients;
  let looked = 0;
  const translate = b.session.translate.bind(b.session);
  b.session.translate = (batch) => (looked++, translate(batch));
  await a.ask(insert(0));
  await b.ask(`select '${'x'.repeat(10_000)}'`);
  await c.ask(insert(2));
  assert.deepEqual([life.running, looked], [[insert(0)], 0]);
  await life.answer();
  assert.equal(looked, 1);
});

test('work of our own drops the unnamed statement, which is parsed again', async () => {
  const { life, turns, clients } = bench(1);
  const [a] = clients;
  const parse = message(FromClient.parse, zeroTerminated(''), zeroTerminated('select 1'), Buffer.alloc(2));
  const bind = message(FromClient.bind, Buffer.alloc(8));
  const types = () => life.given.map(({ batch }) => messageTypes(batch));
  await a.send(parse, SYNC_MESSAGE);
  await life.answer('I', message(FromBackend.parseComplete));
  await a.send(bind, SYNC_MESSAGE);
  assert.deepEqual(types(), ['BS']);
  await life.answer();
  const own = turns.internal('checkpoint');
  await settled();
  await life.answer();
  await own;
  await a.send(bind, SYNC_MESSAGE);
  assert.deepEqual(types(), ['PBS']);
});

test('a session that begins to keep the backend still has its unnamed statement', async () => {
  const { life, clients } = bench(1);
  const [a] = clients;
  const sql = zeroTerminated('select pg_advisory_lock(1)');
  const parse = message(FromClient.parse, zeroTerminated(''), sql, Buffer.alloc(2));
  await a.send(parse, SYNC_MESSAGE);
  await life.answer('I', message(FromBackend.parseComplete));
  await a.send(message(FromClient.bind, Buffer.alloc(8)), SYNC_MESSAGE);
  // Sequences are discarded in front of it: not by a simple query, which would drop it.
  const [{ batch }] = life.given;
  assert.match(batch.toString('latin1'), /discard sequences/);
  assert.equal(messageTypes(batch), 'PBECS');
  await life.answer();
  assert.equal(messageTypes(life.given[0].batch), 'BS');
});

test('a cancel while the settings are set is for the batch that they are set for, not for the one behind it', async () => {
  const { clock, life, turns, clients } = bench(1);
  const [a] = clients;
  a.session.settings = new Map([['work_mem', '1MB']]);
  await a.ask(insert(0));
  await a.ask(insert(1), insert(2));
  assert.match(life.running[0], /set_config/);
  turns.cancel(a);
  clock.advanceTo(LIMITS.waitMs);
  await settled();
  assert.deepEqual(a.heard, []);
  await life.answer();
  assert.deepEqual([life.running, life.cancelled], [[insert(0)], [2]]);
  for (const next of [insert(1), insert(2)]) {
    await life.answer();
    assert.deepEqual([life.running, life.cancelled], [[next], [2]]);
  }
});
