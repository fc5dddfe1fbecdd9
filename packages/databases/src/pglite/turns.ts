/**
 * Who works on the one backend. A session has it from the first message of a transaction to its end, or for one batch
 * outside of a transaction; the others wait in the order in which they came. Between the turns stand the proxy's own
 * affairs: settings, what departed sessions left behind, checkpoints.
 *
 * One loop runs the turns one after the other. Everything that arrives meanwhile (input, departures, cancel requests) only
 * leaves word for it. Where a turn will leave the backend free, as far as can be seen, those of others lie behind it in the engine, which
 * so need not wait for this thread. It sees to it itself that none begins in a transaction of somebody else; what it puts aside waits.
 */
import { isCoded, kernelErrors, type Clock, type CodedError } from '@rokka/kernel';
import type { Ticket } from '@rokka/volume';
import { runStatement, type Row } from './backend-sql.ts';
import type { Engine } from './engine.ts';
import type { EngineLife, Outcome } from './engine-life.ts';
import { type Flight, Flights } from './flights.ts';
import { SessionSettings } from './session-settings.ts';
import { TurnTimers, type TurnLimits } from './turn-timers.ts';
import type { TurnClient } from './turn-client.ts';
import {
  cancelledError,
  endedError,
  failedTurnError,
  idleError,
  lostError,
  waitedError,
} from './turn-errors.ts';
import {
  errorMessage,
  FromBackend,
  FromClient,
  message,
  readyMessage,
  zeroTerminated,
  type WireError,
} from './wire-messages.ts';
import { WaitingLine, type Place } from './waiting-line.ts';
import { BackendState, WireSession } from './wire-session.ts';

/** COPY data that may wait for the engine. */
const COPY_BACKLOG_BYTES = 256 * 1024;
const JOBS_MAX = 64;
const NOTHING_WRITTEN = 0 as Ticket;

type Turn = (life: EngineLife) => Promise<void>;

export class Turns {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #backend = new BackendState();
  readonly #settings: SessionSettings;
  readonly #timers: TurnTimers<TurnClient>;
  readonly #alone: boolean;
  readonly #clients = new Set<TurnClient>();
  readonly #waiting = new WaitingLine<TurnClient>();
  readonly #departed = new Set<TurnClient>();
  readonly #jobs: { readonly run: Turn; readonly reject: (reason: unknown) => void }[] = [];
  #owner: TurnClient | undefined;
  /** Whose batch is taken and waits for its settings. */
  #boarding: { readonly client: TurnClient; isCancelled: boolean } | undefined;
  readonly #flights: Flights;
  /** Flights that have ended, and of which something is still to be done on the backend. */
  #settling = 0;
  /** Why the engine is about to be killed over the running batch. */
  #killReason: string | undefined;
  #looping = false;
  #nextSessionId = 1;
  #lastBatchMs = 0;
  #batches = 0;

  constructor(options: { engine: Engine; clock: Clock; limits: TurnLimits; alone: boolean }) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#alone = options.alone;
    this.#settings = new SessionSettings({ backend: this.#backend, user: options.engine.user });
    this.#flights = new Flights(options.clock);
    this.#timers = new TurnTimers(options.clock, options.limits, {
      onStatementTimeout: (client) => this.#interrupt(client, 'canceling statement due to statement timeout'),
      onIdle: (client) => this.#onIdle(client),
      onWaited: (client) => this.#onWaited(client),
      onGrace: (client) => this.#kill(client),
    });
    this.#engine.onLost = (reason) => this.#onLost(reason);
  }

  /** A session for a connection that has logged in. */
  newSession(): WireSession {
    return new WireSession({ id: this.#nextSessionId++, backend: this.#backend, alone: this.#alone });
  }

  add(client: TurnClient): void {
    this.#clients.add(client);
  }

  /** The client has disconnected. */
  remove(client: TurnClient): void {
    if (!this.#clients.delete(client)) return;
    this.#timers.forget(client);
    this.#waiting.take(client);
    this.#departed.add(client);
    // Nobody waits for its result any more, but everybody for the backend.
    if (client === this.#running) {
      this.#feedCopy(client);
      this.#interrupt(client, undefined);
    }
    this.#kick();
  }

  /** Input has arrived. */
  wake(client: TurnClient): void {
    if (this.#begun(client)) return this.#feedCopy(client);
    if ((this.#owner ?? this.#running ?? client) !== client) this.#answerEarly(client);
    if (!client.input.hasBatch) return;
    if (client !== this.#owner && !this.#waiting.has(client))
      this.#timers.startWaiting(client, this.#waiting.add(client, this.#clock.nowMs()).sinceMs);
    this.#kick();
  }

  /** What a CancelRequest asks for. */
  cancel(client: TurnClient): void {
    const begun = this.#begun(client);
    if (begun) begun.isCancelled = true;
    if (client === this.#running) this.#interrupt(client, undefined);
    else if (this.#waiting.has(client)) this.#turnDown(client, cancelledError());
  }

  /** Runs SQL of our own, as the superuser with default settings, when nobody has the backend. @throws DATABASE_SQL_FAILED */
  internal(sql: string): Promise<Row[]> {
    return this.#job(async (life) => {
      await this.#settings.apply(life, new Map());
      return this.#backend.run(life, sql);
    });
  }

  /**
   * Applies the settings of a start-up packet and reads back what they mean. Answers the names as they were given with
   * their values. @throws DATABASE_SQL_FAILED
   */
  adoptSettings(session: WireSession, wanted: ReadonlyMap<string, string>): Promise<Map<string, string>> {
    return this.#job((life) => this.#settings.adopt(life, session, wanted));
  }

  /** How long nobody has worked, and how much has been worked: for background duties. */
  get idleMs(): number {
    return this.#owner || this.#running ? 0 : this.#clock.nowMs() - this.#lastBatchMs;
  }

  get batches(): number {
    return this.#batches;
  }

  #job<T>(work: (life: EngineLife) => Promise<T>): Promise<T> {
    if (this.#jobs.length >= JOBS_MAX)
      return Promise.reject(kernelErrors.KERNEL_QUEUE_FULL(['the queue of jobs for the backend', JOBS_MAX]));
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ run: (life) => work(life).then(resolve, reject), reject });
      this.#kick();
    });
  }

  /** The batch of the client that is taken and not answered. */
  #begun(client: TurnClient): { isCancelled: boolean } | undefined {
    return this.#boarding?.client === client ? this.#boarding : this.#flights.of(client);
  }

  get #running(): TurnClient | undefined {
    return this.#flights.head?.client;
  }

  #kick(): void {
    if (this.#looping || this.#settling > 0) return;
    if (this.#flights.head) this.#follow();
    else void this.#loop();
  }

  async #loop(): Promise<void> {
    this.#looping = true;
    try {
      for (let turn = this.#nextTurn(); turn; turn = this.#nextTurn()) {
        const life = await this.#engine.ready().catch((reason: CodedError) => this.#giveUp(reason));
        if (!life) return;
        this.#backend.learn(life);
        life.othersWait = () => this.#waiting.first !== undefined;
        await turn(life);
      }
    } finally {
      this.#looping = false;
    }
  }

  #nextTurn(): Turn | undefined {
    if (this.#flights.head || this.#settling > 0) return undefined;
    const owner = this.#owner;
    if (owner?.gone) return (life) => this.#leave(owner, life);
    if (owner) return owner.input.hasBatch ? (life) => this.#serve(owner, life) : undefined;
    for (const client of this.#departed) return (life) => this.#leave(client, life);
    const [job] = this.#jobs;
    if (job) return (life) => (this.#jobs.shift(), job.run(life));
    const { first } = this.#waiting;
    return first && ((life) => this.#serve(first, life));
  }

  /** One batch of a client. Never rejects: what fails, fails the client. */
  async #serve(client: TurnClient, life: EngineLife): Promise<void> {
    const { session } = client;
    this.#waiting.take(client);
    this.#timers.stop(client);
    const messages = client.gone ? [] : client.input.takeBatch();
    if (!client.gone) client.onTaken();
    if (messages.length === 0) {
      if (client === this.#owner) this.#timers.startIdle(client);
      if (!client.gone) this.wake(client);
      return;
    }
    try {
      this.#boarding = { client, isCancelled: false };
      if (!this.#owner) await this.#settings.apply(life, session.settings);
      const batch = await this.#translate(client, life, messages);
      const landed = this.#fly(client, life, { messages, batch });
      if (session.settles) this.#follow();
      else await landed;
    } catch (error) {
      this.#boarding = undefined;
      this.#onTurnFailed(client, error);
      if (!client.gone) this.wake(client);
    }
  }

  async #translate(client: TurnClient, life: EngineLife, messages: readonly Buffer[]): Promise<Buffer> {
    const { session } = client;
    const pinnedBefore = session.pin !== undefined;
    const batch = session.translate(messages);
    if (session.pin !== undefined && !pinnedBefore && !this.#owner) {
      // Else currval would answer what another session's nextval left.
      await runStatement(life, 'discard sequences');
      session.ownsSequences = true;
    }
    return batch;
  }

  /** Gives the engine what can lie behind the batches that it has. */
  #follow(): void {
    while (this.#followOnce());
  }

  #followOnce(): boolean {
    const { last } = this.#flights;
    const { life } = this.#engine;
    const { first: client } = this.#waiting;
    if (!last?.settles || last.life !== life || this.#departed.size + this.#jobs.length > 0) return false;
    // It has turned out that the backend is not free.
    if (this.#owner && !this.#flights.of(this.#owner)) return false;
    if (!client || client.gone || !life.hasRoomBehind(0) || !this.#settings.has(client.session.settings))
      return false;
    const { session, input } = client;
    const messages = input.takeBatch();
    const isSmall = life.hasRoomBehind(messages.reduce((bytes, one) => bytes + one.length, 0));
    const batch = isSmall && session.mayTakeBack(messages) ? session.translate(messages) : undefined;
    if (!batch || session.pin !== undefined || !life.hasRoomBehind(batch.length)) {
      if (batch) session.takeBack();
      input.putBack(messages);
      return false;
    }
    const place = this.#waiting.take(client);
    this.#timers.stop(client);
    client.onTaken();
    void this.#fly(client, life, { messages, batch, place });
    return true;
  }

  /** Resolves when the client has its replies, and the backend is ready for another one. */
  #fly(
    client: TurnClient,
    life: EngineLife,
    { messages, batch, place }: { messages: readonly Buffer[]; batch: Buffer; place?: Place | undefined },
  ): Promise<void> {
    this.#batches++;
    const isCancelled = this.#boarding?.isCancelled === true;
    this.#boarding = undefined;
    const { settles } = client.session;
    const { number, outcome } = life.execute(batch, (bytes, ticket) =>
      this.#onReply(client, life, { bytes, ticket }),
    );
    const flight = { client, life, messages, place, number, settles, isCancelled };
    this.#flights.add(flight);
    if (this.#flights.head === flight) this.#onHead(flight);
    return this.#land(flight, outcome);
  }

  /** Its turn it is, as far as is known here. */
  #onHead(flight: Flight): void {
    const { client, life } = flight;
    const { session } = client;
    session.cancelReason = undefined;
    this.#timers.startStatement(client, session.settings.get('statement_timeout'));
    life.onDrain = () => this.#feedCopy(client);
    this.#feedCopy(client);
    if (flight.isCancelled || client.gone) this.#interrupt(client, undefined);
  }

  async #land(flight: Flight, outcome: Promise<Outcome>): Promise<void> {
    const { client, life } = flight;
    try {
      let what: Outcome;
      try {
        what = await outcome;
      } finally {
        // In one go with what follows: until it is known whose the backend is, nobody begins.
        this.#descend(flight);
        this.#settling++;
      }
      if (what === 'done') await this.#settle(client, life);
      else this.#comeBack(flight);
    } catch (error) {
      this.#onTurnFailed(client, error);
    } finally {
      this.#settling--;
    }
    if (!client.gone) this.wake(client);
    this.#kick();
  }

  /** It was not begun: as if it had never lain behind others. */
  #comeBack({ client, messages, place, isCancelled }: Flight): void {
    client.session.takeBack();
    client.input.putBack(messages);
    if (client.gone || !place) return;
    this.#waiting.putBack(client, place);
    this.#timers.startWaiting(client, place.sinceMs);
    if (isCancelled) this.#turnDown(client, cancelledError());
  }

  #disown(client: TurnClient): void {
    if (this.#owner === client) this.#owner = undefined;
  }

  #descend(flight: Flight): void {
    const { client, life } = flight;
    const ran = this.#flights.head === flight;
    this.#flights.remove(flight);
    this.#lastBatchMs = this.#clock.nowMs();
    client.session.copyIn = false;
    this.#timers.stop(client);
    if (!ran) return;
    life.onDrain = undefined;
    if (this.#flights.head) this.#onHead(this.#flights.head);
  }

  #onReply(client: TurnClient, life: EngineLife, reply: { bytes: Buffer; ticket: Ticket }): void {
    const chunks = client.session.reply(reply.bytes);
    if (client.session.copyIn) this.#feedCopy(client);
    if (client.gone) return;
    client.reply(chunks, client.session.provisional ? NOTHING_WRITTEN : reply.ticket, life.pages);
    if (!client.congested) return;
    life.pause();
    client.whenRelieved(() => life.resume());
  }

  /** After a batch: who has the backend now? */
  async #settle(client: TurnClient, life: EngineLife): Promise<void> {
    const { session } = client;
    if (session.droppedStatements) {
      session.droppedStatements = false;
      this.#backend.unnamedOwner = undefined;
      for (const other of this.#clients) if (other !== client) other.session.forgetLive();
    }
    if (session.atRest && session.settingsTouched) {
      session.settingsTouched = false;
      await this.#settings.readBack(life, session);
      // What the read-back took off the backend, or RESET should have gone back to.
      if (session.pin !== undefined) await this.#settings.apply(life, session.settings);
    }
    if (!session.keepsBackend) this.#disown(client);
    else {
      this.#owner = client;
      this.#timers.startIdle(client);
      // They came before it had the backend, and its own program may be waiting for them: pgbench prepares one by one.
      for (const other of this.#waiting) this.#answerEarly(other);
    }
  }

  /** Clears away what a departed session left in the backend. */
  async #leave(client: TurnClient, life: EngineLife): Promise<void> {
    const { session } = client;
    this.#departed.delete(client);
    const keptAlone = session.pin !== undefined || this.#alone;
    const batch = session.farewell(keptAlone);
    if (this.#backend.unnamedOwner === session || !session.atRest) this.#backend.unnamedOwner = undefined;
    try {
      if (batch.length > 0) await life.execute(batch, () => {}).outcome;
      if (keptAlone) this.#forgetBackend();
      // Set in a pipeline that nobody finished: still there, and to be undone at the next turn.
      else if (session.settingsTouched) await this.#settings.readBack(life, session);
    } catch {
      // The engine is gone, and with it what was to be cleared away.
    }
    this.#disown(client);
  }

  /** Where another session has the backend, a lone Parse can be answered without it. */
  #answerEarly(client: TurnClient): void {
    for (let parse = client.input.peekPrepare(); parse; parse = client.input.peekPrepare()) {
      if (!client.session.prepareLater(parse)) return;
      client.input.takeBatch();
      client.onTaken();
      client.answer(Buffer.concat([message(FromBackend.parseComplete), readyMessage('I')]));
      if (!client.input.hasBatch && this.#waiting.take(client)) this.#timers.stop(client);
    }
  }

  #feedCopy(client: TurnClient): void {
    const { life } = this.#engine;
    const { session } = client;
    if (!life || client !== this.#running) return;
    if (session.copyIn && client.gone) {
      session.copyIn = false;
      life.feed(message(FromClient.copyFail, zeroTerminated('the client disconnected')));
    }
    while (session.copyIn && life.backlogBytes < COPY_BACKLOG_BYTES) {
      const next = client.input.takeCopy();
      if (!next) break;
      if (next.ends) session.copyIn = false;
      life.feed(next.message);
      client.onTaken();
    }
  }

  #interrupt(client: TurnClient, reason: string | undefined): void {
    const running = this.#flights.head;
    if (client !== running?.client) return;
    client.session.cancelReason = reason;
    running.life.cancel(running.number);
    this.#timers.startGrace(client);
  }

  /** The running statement has not heard the cancel: it computes without touching anything. */
  #kill(client: TurnClient): void {
    if (client !== this.#running) return;
    this.#killReason = client.session.cancelReason ?? 'canceling statement due to user request';
    void this.#engine.life?.terminate('a cancelled statement did not stop');
  }

  #onIdle(client: TurnClient): void {
    if (client !== this.#owner || client === this.#running || client.input.hasBatch) return;
    client.fail(idleError(client.session));
  }

  #onWaited(client: TurnClient): void {
    if (!this.#waiting.has(client)) return;
    this.#turnDown(client, waitedError(this.#owner?.session));
  }

  /** Answers a waiting batch with an error. */
  #turnDown(client: TurnClient, error: WireError): void {
    this.#waiting.take(client);
    this.#timers.stop(client);
    const last = client.input.takeBatch().at(-1)?.[0];
    client.onTaken();
    client.answer(errorMessage(error));
    if (last === FromClient.query || last === FromClient.sync) client.answer(readyMessage('I'));
    else client.fail({ ...error, severity: 'FATAL' });
    this.wake(client);
  }

  #onTurnFailed(client: TurnClient, error: unknown): void {
    this.#disown(client);
    const killed = this.#killReason;
    this.#killReason = undefined;
    client.fail(failedTurnError(error, killed));
    if (!isCoded(error)) throw error;
  }

  /** A life has ended: the backend's session is a new one. */
  #onLost(_reason: CodedError): void {
    const owner = this.#owner;
    this.#forgetBackend();
    for (const client of this.#clients) {
      const { session } = client;
      // Its batch fails by itself, or what it had in the backend is lost.
      if (client === owner && client !== this.#running) client.fail(lostError());
      session.pin = undefined;
      session.ownsSequences = false;
    }
    if (owner && owner !== this.#running) this.#owner = undefined;
    this.#kick();
  }

  #forgetBackend(): void {
    this.#backend.unnamedOwner = undefined;
    this.#backend.settings = new Map();
    for (const { session } of this.#clients) session.forgetLive();
  }

  /** There will be no further life. */
  #giveUp(reason: CodedError): undefined {
    for (const client of this.#clients) client.fail(endedError(reason));
    for (const job of this.#jobs.splice(0)) job.reject(reason);
    return undefined;
  }
}
