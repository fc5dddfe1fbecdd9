/**
 * Turns of many clients at random, on a life of the engine that is real but for its thread and its backend (stand-ins): whose batches
 * run where, and that each is answered once and in order. ROKKA_SEED is another choice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, SeededRandom, settled, VirtualClock } from '@rokka/kernel';
import type { Engine } from './engine.ts';
import { FrameKind } from './engine-channel.ts';
import type { EngineLife } from './engine-life.ts';
import {
  BackendStandIn,
  History,
  numbered,
  statementNumber,
  STATEMENTS,
} from './testing/backend-stand-in.ts';
import { ThreadStandIn } from './testing/thread-stand-in.ts';
import type { TurnClient } from './turn-client.ts';
import { Turns } from './turns.ts';
import { InputQueue } from './wire-input.ts';
import {
  errorFields,
  FromBackend,
  HEADER_BYTES,
  queryMessage,
  rowValues,
  type WireError,
} from './wire-messages.ts';
import type { WireSession } from './wire-session.ts';

const timeout = 120_000;
const SEED = Number(process.env['ROKKA_SEED'] ?? 1);
const RUNS = 40;
const STEPS = 1500;
const CLIENTS = 6;
const LIMITS = { idleInTransactionMs: 800, waitMs: 500, statementTimeoutMs: 400, cancelGraceMs: 100 };
/** Longer than all of them together. */
const QUIET_MS = 20_000;
/** Of the errors that a batch may have which the backend never saw. */
const TURNED_DOWN = ['57014', '55P03'];
const COMMAND_COMPLETE = 0x43;

class Client implements TurnClient {
  readonly input = new InputQueue();
  readonly session: WireSession;
  readonly #turns: Turns;
  readonly #history: History;
  readonly #id: number;
  readonly #asked: number[] = [];
  #answers = 0;
  #heard: Buffer = Buffer.alloc(0);
  #answer: { statement?: number; error?: string; tag?: string } = {};
  /** What it was told of in the transaction that is open. */
  #work: number[] = [];
  #relieved: (() => void) | undefined;
  congested = false;
  gone = false;

  constructor(id: number, turns: Turns, history: History) {
    this.#id = id;
    this.#turns = turns;
    this.#history = history;
    this.session = turns.newSession();
    turns.add(this);
  }

  get isAnswered(): boolean {
    return this.gone || this.#answers === this.#asked.length;
  }

  ask(...several: string[]): void {
    for (const sql of several) {
      const statement = statementNumber(this.#id, this.#asked.length);
      this.#asked.push(statement);
      this.input.push(queryMessage(numbered(sql, statement)));
    }
    this.#turns.wake(this);
  }

  cancel(): void {
    this.#turns.cancel(this);
  }

  leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.#history.gone.add(this.#id);
    this.relieve();
    this.#turns.remove(this);
  }

  relieve(): void {
    this.congested = false;
    const relieved = this.#relieved;
    this.#relieved = undefined;
    relieved?.();
  }

  reply(chunks: readonly Buffer[]): void {
    for (const chunk of chunks) this.answer(chunk);
  }

  answer(bytes: Buffer): void {
    this.#heard = Buffer.concat([this.#heard, bytes]);
    while (this.#heard.length >= HEADER_BYTES) {
      const one = this.#heard.subarray(0, 1 + this.#heard.readUInt32BE(1));
      this.#heard = this.#heard.subarray(one.length);
      if (one[0] === FromBackend.dataRow) this.#answer.statement = Number(rowValues(one)[0]);
      else if (one[0] === FromBackend.error) this.#answer.error = must(errorFields(one).get('C'), 'a code');
      else if (one[0] === COMMAND_COMPLETE)
        this.#answer.tag = one.toString('latin1', HEADER_BYTES, one.length - 1);
      else if (one[0] === FromBackend.ready) this.#onReady(String.fromCharCode(one[HEADER_BYTES]));
    }
  }

  fail(_error: WireError): void {
    this.leave();
  }

  onTaken(): void {}

  whenRelieved(run: () => void): void {
    this.#relieved = run;
  }

  #onReady(status: string): void {
    const { statement, error, tag } = this.#answer;
    this.#answer = {};
    const asked = this.#asked[this.#answers++];
    assert.notEqual(asked, undefined, 'answered twice');
    if (statement === undefined) {
      assert.ok(TURNED_DOWN.includes(error ?? ''), `an answer without a row: ${error}`);
      return assert.ok(!this.#history.ran.has(asked), 'turned down, but it ran');
    }
    assert.equal(statement, asked, 'the answer of another batch');
    if (tag === 'SELECT 1') this.#work.push(statement);
    // What it was told of in a transaction whose end was acknowledged is there.
    if (tag === 'COMMIT' || (status === 'I' && tag === 'SELECT 1'))
      for (const one of this.#work) assert.ok(this.#history.committed.has(one), `${one} is lost`);
    if (status === 'I') this.#work = [];
  }
}

class Bench {
  readonly clock = new VirtualClock();
  readonly history = new History();
  readonly random: SeededRandom;
  readonly turns: Turns;
  readonly #engine = {
    user: 'postgres',
    life: undefined as EngineLife | undefined,
    ready: () => this.#up,
    onLost: (_reason: unknown) => {},
  };
  #up: Promise<EngineLife>;
  #thread: ThreadStandIn | undefined;
  #backend: BackendStandIn;
  /** The batch that runs. */
  #batch: Buffer | undefined;
  #isLong = false;
  /** Batches. */
  putAside = 0;
  #made = 0;
  readonly clients: Client[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.#backend = new BackendStandIn(this.history);
    this.#up = this.#live();
    this.turns = new Turns({
      engine: this.#engine as unknown as Engine,
      clock: this.clock,
      limits: LIMITS,
      alone: false,
    });
    for (let at = 0; at < CLIENTS; at++) this.#renew(at);
  }

  async #live(): Promise<EngineLife> {
    const { thread, life } = await ThreadStandIn.life(this.clock);
    this.#thread = thread;
    this.#backend = new BackendStandIn(this.history);
    this.#batch = undefined;
    this.#engine.life = life;
    void life.ended.then((reason) => {
      this.#engine.life = undefined;
      this.#up = this.#live();
      this.#engine.onLost(reason);
    });
    return life;
  }

  #renew(at: number): void {
    this.clients[at] = new Client(++this.#made, this.turns, this.history);
  }

  async step(): Promise<void> {
    const { random, clients } = this;
    const at = random.below(clients.length);
    if (clients[at].gone) this.#renew(at);
    const client = clients[at];
    const chance = random.below(1000);
    if (chance < 250) this.#ask(client);
    else if (chance < 280) client.cancel();
    else if (chance < 290) client.leave();
    else if (chance < 310) client.congested = !this.#isLong;
    else if (chance < 350) for (const one of clients) one.relieve();
    else if (chance < 355) void this.#engine.life?.terminate('it was killed');
    else if (chance < 362) this.turns.internal('checkpoint').catch(() => {});
    else if (chance < 700) this.work();
    else if (chance < 900) this.#thread?.deliver();
    else this.clock.advanceTo(this.clock.nowMs() + random.below(30));
    await settled();
  }

  #ask(client: Client): void {
    const { random } = this;
    if (client.input.bytes > 200) return;
    const several = Array.from({ length: 1 + random.below(3) }, () => {
      const kind = this.#wish(client);
      return kind === 'set' ? `${STATEMENTS.set}${1 + random.below(2)}` : STATEMENTS[kind];
    });
    client.ask(...several);
  }

  /** Who stands in the way of all others mostly goes out of it. */
  #wish({ session }: Client): keyof typeof STATEMENTS {
    const { random } = this;
    if (random.below(3) > 0) return random.pick(WISHES);
    if (session.status !== 'I') return session.status === 'E' ? 'rollback' : 'commit';
    return session.pin === undefined ? 'plain' : 'discard';
  }

  /** The engine's thread takes a batch, or comes to the end of the one that runs. */
  work(): void {
    const thread = this.#thread;
    if (!thread || thread.isDead) return;
    if (!this.#batch) {
      const taken = thread.take(this.#backend.atRest);
      if (taken && !taken.bytes) {
        thread.say(FrameKind.putAside);
        this.putAside++;
      }
      this.#batch = taken?.bytes;
      this.#isLong = this.random.below(40) === 0;
      return;
    }
    const { cancelled } = thread.end;
    const isHeard = cancelled && this.random.below(4) > 0;
    if (this.#isLong && !isHeard && this.random.below(100) > 0) return;
    thread.say(FrameKind.reply, this.#backend.run(this.#batch, isHeard));
    thread.say(FrameKind.done);
    this.#batch = undefined;
  }

  /** Nobody asks for more: everything comes to its end. */
  async end(): Promise<void> {
    for (const client of this.clients) if (!client.gone) client.ask('rollback', 'discard all');
    const last = this.turns.internal('select 1').catch((error: unknown) => error);
    let isLast = false;
    void last.then(() => (isLast = true));
    const untilMs = this.clock.nowMs() + QUIET_MS;
    while (this.clock.nowMs() < untilMs) {
      for (const client of this.clients) client.relieve();
      this.work();
      this.#thread?.deliver();
      this.clock.advanceTo(this.clock.nowMs() + 1);
      await settled();
      if (isLast && this.clients.every(({ isAnswered }) => isAnswered)) return;
    }
    assert.fail(
      `somebody waits for ever: ${this.clients.map(({ isAnswered }) => isAnswered).join()}, ${isLast}`,
    );
  }
}

const WISHES: readonly (keyof typeof STATEMENTS)[] = [
  ...Array.from({ length: 40 }, () => 'plain' as const),
  ...Array.from({ length: 8 }, () => 'begin' as const),
  ...(['commit', 'commit', 'rollback', 'fails', 'opens', 'badCommit'] as const),
  ...(['set', 'temporary', 'discard', 'discard', 'discard'] as const),
];

test(
  'each batch runs once, in its own transaction, and is answered once and in order',
  { timeout },
  async () => {
    let [committed, putAside] = [0, 0];
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED * 1000 + run;
      const bench = new Bench(seed);
      try {
        for (let step = 0; step < STEPS; step++) await bench.step();
        await bench.end();
      } catch (error) {
        throw new Error(`ROKKA_SEED=${SEED}, run ${run}`, { cause: error });
      }
      committed += bench.history.committed.size;
      putAside += bench.putAside;
    }
    assert.ok(committed > 50 * RUNS && putAside > 10 * RUNS, `${committed} committed, ${putAside} put aside`);
  },
);
