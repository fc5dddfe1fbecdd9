/**
 * A client's session as far as the shared backend cannot keep it: prepared statements under names of their own, the one
 * unnamed statement, settings, and whether the session may give the backend away between transactions.
 *
 * Statements are renamed `rokka<session>.<name>`. The Parse message of each is kept, so that a statement which the backend
 * does not hold (another session's turn replaced the unnamed one, the engine was restarted, the answer was given before the
 * backend was free) is parsed again, unseen by the client, in front of its next use.
 */
import { must } from '@rokka/kernel';
import { runSql, type Row } from './backend-sql.ts';
import type { EngineLife } from './engine-life.ts';
import { refusalBehind, refusedSql } from './refusals.ts';
import { bodyTraits, NO_TRAITS, traitsOf, type Refusal, type StatementTraits } from './statement-traits.ts';
import { ReplyScanner } from './wire-framer.ts';
import {
  errorFields,
  errorMessage,
  FromBackend,
  FromClient,
  HEADER_BYTES,
  message,
  queryMessage,
  stringEnd,
  SYNC_MESSAGE,
  zeroTerminated,
  type TransactionStatus,
} from './wire-messages.ts';

const STATEMENTS_MAX = 4096;
const CUSTOM_SETTINGS_MAX = 256;
const COMMAND_COMPLETE = 0x43;
const WATCHED: ReadonlySet<number> = new Set([
  FromBackend.parseComplete,
  FromBackend.ready,
  FromBackend.copyIn,
  FromBackend.error,
  COMMAND_COMPLETE,
]);
const STATEMENT_NAME = 0x53; // S
/** Of batches that may be translated once more: what they change of the session shows in the replies alone. */
const REPEATABLE: ReadonlySet<number> = new Set([
  FromClient.query,
  FromClient.parse,
  FromClient.bind,
  FromClient.describe,
  FromClient.execute,
  FromClient.sync,
]);
/** Tags of CommandComplete. What writes without one of these is taken for a reader, whose replies wait. */
const WRITES = /^(?:INSERT|UPDATE|DELETE|MERGE|COPY|CREATE|ALTER|DROP|TRUNCATE)\b/;
const ENDS = /^(?:COMMIT|ROLLBACK|PREPARE TRANSACTION)\b/;
/** Refusals that hold even for a session that is alone: the engine cannot do it at all. */
const ALWAYS_REFUSED: ReadonlySet<Refusal> = new Set([
  'database',
  'tablespace',
  'server_file',
  'strings',
  'statement_count',
]);

interface Prepared {
  readonly parse: Buffer;
  readonly traits: StatementTraits;
  /** Whether the backend holds it. */
  live: boolean;
}

/** What all sessions share: the backend's own session. */
export class BackendState {
  /** Whose unnamed statement the backend holds, once all that was translated has been run. */
  unnamedOwner: WireSession | undefined;
  /** Whose batch will have touched it last. */
  unnamedToucher: WireSession | undefined;
  /** The settings that the backend has now and that are not its defaults. */
  settings: ReadonlyMap<string, string> = new Map();
  /** Names of settings that any session has ever made up, such as `app.tenant`: they have to be asked for one by one. */
  readonly customSettings = new Set<string>();
  /** A function may leave settings behind in the session of whoever calls it: they are read back after every batch. */
  hasSetters = false;
  #learned: EngineLife | undefined;

  /** Looks at the functions that are there when a life begins. Their text is bytes to us, as all SQL. */
  learn(life: EngineLife): void {
    if (life === this.#learned) return;
    this.#learned = life;
    for (const body of life.functionBodies) {
      const { settings, customSettings } = bodyTraits(Buffer.from(body).toString('latin1'));
      if (settings) this.hasSetters = true;
      for (const name of customSettings.slice(0, CUSTOM_SETTINGS_MAX)) this.customSettings.add(name);
    }
  }

  /** SQL of our own. @throws DATABASE_SQL_FAILED, DATABASE_ENGINE_LOST */
  run(life: EngineLife, sql: string): Promise<Row[]> {
    this.unnamedOwner = undefined;
    return runSql(life, sql);
  }
}

export class WireSession {
  readonly id: number;
  /** Settings that are applied in front of the session's turn. */
  settings: ReadonlyMap<string, string> = new Map();
  /** Those of them that came with the start-up packet: what RESET goes back to. */
  startupSettings: ReadonlyMap<string, string> = new Map();
  status: TransactionStatus = 'I';
  /** Whether the backend has answered everything and is outside a transaction: it may work for others. */
  atRest = true;
  /** The backend waits for COPY data of this session. */
  copyIn = false;
  /** Why the session keeps the backend between transactions. */
  pin: string | undefined;
  /** Whether the backend's sequence state is this session's alone: it was cleared when the pin began. */
  ownsSequences = false;
  settingsTouched = false;
  /** All statements of all sessions were dropped by this one. */
  droppedStatements = false;
  /**
   * Whether the last reply may leave before what it saw is durable. Inside a transaction block only the end decides, and
   * its reply is held; so a reply may go that shows no data, and any reply of a transaction that has written. What a
   * transaction reads that never writes may be acted on as soon as it is seen: that waits.
   */
  provisional = false;
  /** Whether the batch that was translated last leaves the backend to others, as far as can be seen before it has run. */
  settles = false;
  /** What a cancelled statement's error says, where it was not the user who cancelled it. */
  cancelReason: string | undefined;

  readonly #backend: BackendState;
  /** The only session that the server admits: nothing has to be kept apart. */
  readonly #alone: boolean;
  readonly #statements = new Map<string, Prepared>();
  #unnamed: Prepared | undefined;
  /** Statements whose ParseComplete is awaited, in order. */
  #parses: { statement: Prepared; name: string; hidden: boolean }[] = [];
  readonly #scanner: ReplyScanner;
  #wrote = false;
  /** The batch has ended a transaction, or failed: that is not provisional whatever follows. */
  #decided = false;
  /** What the statements of the batch are that is being translated. */
  #courses: StatementTraits['course'][] = [];

  constructor(options: { id: number; backend: BackendState; alone: boolean }) {
    this.id = options.id;
    this.#backend = options.backend;
    this.#alone = options.alone;
    this.#scanner = new ReplyScanner(WATCHED, (type, reply) => this.#onReply(type, reply));
  }

  /** Whether nobody else can have the backend before this session has gone on. */
  get keepsBackend(): boolean {
    return !this.atRest || this.pin !== undefined;
  }

  /** The batch as the backend must see it. */
  translate(batch: readonly Buffer[]): Buffer {
    const began = this.atRest ? 'plain' : 'ends';
    this.atRest = false;
    this.#decided = false;
    this.#courses = [];
    const out: Buffer[] = [];
    for (const one of batch) this.#translate(one, out);
    if (this.#backend.hasSetters) this.settingsTouched = true;
    const isLikely =
      began === 'plain'
        ? this.#courses.every((course) => course === began)
        : this.#courses.length === 1 && this.#courses[0] === began;
    this.settles = isLikely && this.#keepsNothing && isRepeatable(batch);
    return out.length === 1 ? out[0] : Buffer.concat(out);
  }

  /** A batch for `translate` that may have to be taken back. */
  mayTakeBack(batch: readonly Buffer[]): boolean {
    const drops = (one: Buffer) => one[0] === FromClient.query && /deallocate/i.test(one.toString('latin1'));
    const isFree = this.atRest && this.#keepsNothing && !this.#backend.hasSetters;
    return isFree && isRepeatable(batch) && !batch.some(drops);
  }

  /** The backend has not begun with the batch that was translated last, which comes once more. */
  takeBack(): void {
    this.atRest = true;
    this.pin = undefined;
    this.settingsTouched = false;
    this.droppedStatements = false;
    this.#parses = [];
  }

  get #keepsNothing(): boolean {
    return this.pin === undefined && !this.settingsTouched && !this.droppedStatements;
  }

  /** The backend's reply as the client must see it. */
  reply(bytes: Buffer): Buffer[] {
    const shown = this.#scanner.push(bytes);
    this.provisional = this.status === 'T' && !this.#decided && (this.#wrote || !this.#scanner.revealed);
    return shown;
  }

  /**
   * Takes in the statement of a batch that is nothing but this Parse and a Sync, without asking the backend, and answers
   * true; else changes nothing. If it waited for the backend, a client of one thread that prepares on one connection while
   * another of its connections is in a transaction would wait for itself for ever. What is wrong with the statement shows
   * at its first use.
   */
  prepareLater(parse: Buffer): boolean {
    if (!this.atRest) return false;
    const { name, statement, refusal } = this.#parsed(parse);
    if (name === '' || refusal || this.#statements.has(name)) return false;
    this.#statements.set(name, statement);
    return true;
  }

  /** The backend holds none of the statements any more: it was restarted, or somebody dropped all of them. */
  forgetLive(): void {
    for (const statement of this.#statements.values()) statement.live = false;
    this.#parses = [];
    this.#scanner.reset();
  }

  /** A batch that clears away what the session leaves in the backend; `all` where it had the backend to itself. */
  farewell(all: boolean): Buffer {
    const out: Buffer[] = [];
    // A pipeline without its Sync first comes to its end, then the transaction.
    if (!this.atRest) out.push(SYNC_MESSAGE, queryMessage('rollback'));
    if (all)
      out.push(queryMessage('discard all'), queryMessage('select pg_catalog.pg_advisory_unlock_all()'));
    else
      for (const [name, { live }] of this.#statements)
        if (live) out.push(message(FromClient.close, Buffer.of(STATEMENT_NAME), this.#renamed(name)));
    this.#statements.clear();
    return out.length === 0 ? Buffer.alloc(0) : Buffer.concat([...out, SYNC_MESSAGE]);
  }

  #translate(one: Buffer, out: Buffer[]): void {
    switch (one[0]) {
      case FromClient.query:
        out.push(this.#query(one));
        break;
      case FromClient.parse:
        this.#parse(one, out);
        break;
      case FromClient.bind: {
        const portalEnd = stringEnd(one, HEADER_BYTES);
        out.push(this.#use(one, portalEnd < 0 ? -1 : portalEnd + 1, true, out));
        break;
      }
      case FromClient.describe:
      case FromClient.close: {
        const ofStatement = one[HEADER_BYTES] === STATEMENT_NAME;
        out.push(ofStatement ? this.#use(one, HEADER_BYTES + 1, false, out) : one);
        break;
      }
      default:
        out.push(one);
    }
  }

  #query(query: Buffer): Buffer {
    const sql = query.toString('latin1', HEADER_BYTES, Math.max(HEADER_BYTES, query.length - 1));
    const traits = traitsOf(sql);
    const refusal = this.#refusal(traits);
    // A simple query drops the unnamed statement.
    this.#dropUnnamed();
    if (refusal) return message(FromClient.query, zeroTerminated(refusedSql(refusal)));
    this.#run(traits);
    if (traits.deallocates !== undefined && this.#statements.delete(traits.deallocates)) {
      const renamed = `${this.#prefix}${traits.deallocates}`.replaceAll('"', '""');
      return message(FromClient.query, zeroTerminated(`deallocate "${renamed}"`, 'latin1'));
    }
    return query;
  }

  #parse(parse: Buffer, out: Buffer[]): void {
    const { name, statement, refusal } = this.#parsed(parse);
    // Gone even where the new one turns out to be wrong.
    if (name === '') this.#dropUnnamed();
    if (refusal) {
      const parts = [zeroTerminated(name, 'latin1'), zeroTerminated(refusedSql(refusal)), Buffer.alloc(2)];
      out.push(message(FromClient.parse, ...parts));
      return;
    }
    // The backend must know of the old one to refuse the new one.
    const old = this.#statements.get(name);
    if (old && !old.live) this.#inject(name, old, out);
    this.#parses.push({ statement, name, hidden: false });
    out.push(statement.parse);
  }

  #parsed(parse: Buffer): { name: string; statement: Prepared; refusal: Refusal | undefined } {
    const nameEnd = stringEnd(parse, HEADER_BYTES);
    const sqlEnd = stringEnd(parse, nameEnd + 1);
    const malformed = nameEnd < 0 || sqlEnd < 0;
    const name = malformed ? '' : parse.toString('latin1', HEADER_BYTES, nameEnd);
    const traits = traitsOf(malformed ? '' : parse.toString('latin1', nameEnd + 1, sqlEnd));
    const renamed =
      name === '' ? parse : message(FromClient.parse, this.#renamed(name), parse.subarray(nameEnd + 1));
    const full = name !== '' && this.#statements.size >= STATEMENTS_MAX;
    return {
      name,
      statement: { parse: renamed, traits, live: false },
      refusal: full ? 'statement_count' : this.#refusal(traits),
    };
  }

  /** A message that names a statement at `nameAt`: with the name changed, and the statement parsed in front of it if need be. */
  #use(one: Buffer, nameAt: number, runs: boolean, out: Buffer[]): Buffer {
    const nameEnd = nameAt < 0 ? -1 : stringEnd(one, nameAt);
    if (nameEnd < 0) return one;
    const closes = one[0] === FromClient.close;
    const name = one.toString('latin1', nameAt, nameEnd);
    const awaited = this.#parses.findLast((parse) => parse.name === name && !parse.hidden)?.statement;
    const statement = awaited ?? (name === '' ? this.#unnamed : this.#statements.get(name));
    const held = name === '' ? this.#backend.unnamedOwner === this : statement?.live;
    if (statement && !awaited && !held && !closes) this.#inject(name, statement, out);
    if (runs) this.#run(statement?.traits ?? NO_TRAITS);
    if (closes && name !== '') this.#statements.delete(name);
    else if (closes) this.#dropUnnamed();
    // One that the session does not have would be that of another one.
    if (name === '' && (statement || closes)) return one;
    return message(
      one[0],
      one.subarray(HEADER_BYTES, nameAt),
      this.#renamed(name),
      one.subarray(nameEnd + 1),
    );
  }

  #inject(name: string, statement: Prepared, out: Buffer[]): void {
    if (name === '') this.#touchUnnamed();
    this.#parses.push({ statement, name, hidden: true });
    out.push(statement.parse);
  }

  #dropUnnamed(): void {
    this.#unnamed = undefined;
    this.#touchUnnamed();
  }

  #touchUnnamed(): void {
    this.#backend.unnamedOwner = undefined;
    this.#backend.unnamedToucher = this;
  }

  #refusal(traits: StatementTraits): Refusal | undefined {
    const { refuses } = traits;
    if (refuses && (!this.#alone || ALWAYS_REFUSED.has(refuses))) return refuses;
    if (traits.sequenceState && !this.#alone && !this.ownsSequences) return 'sequence_state';
    return undefined;
  }

  #run(traits: StatementTraits): void {
    this.#courses.push(traits.course);
    if (traits.settings) this.settingsTouched = true;
    if (traits.makesSetter) this.#backend.hasSetters = true;
    for (const name of traits.customSettings)
      if (this.#backend.customSettings.size < CUSTOM_SETTINGS_MAX) this.#backend.customSettings.add(name);
      else if (!this.#backend.customSettings.has(name)) this.pin ??= 'too many custom settings';
    if (traits.pins !== undefined && !this.#alone) this.pin ??= traits.pins;
  }

  #onReply(type: number, reply: Buffer): Buffer | undefined {
    switch (type) {
      case FromBackend.parseComplete: {
        const done = must(this.#parses.shift(), 'ParseComplete without a Parse');
        done.statement.live = true;
        if (done.name !== '') this.#statements.set(done.name, done.statement);
        else {
          this.#unnamed = done.statement;
          // Else what lies behind replaces it.
          if (this.#backend.unnamedToucher === this) this.#backend.unnamedOwner = this;
        }
        return done.hidden ? undefined : reply;
      }
      case FromBackend.ready:
        this.status = String.fromCharCode(reply[HEADER_BYTES]) as TransactionStatus;
        this.atRest = this.status === 'I';
        if (this.atRest) this.#wrote = false;
        this.#parses = [];
        this.copyIn = false;
        return reply;
      case FromBackend.copyIn:
        this.copyIn = true;
        return reply;
      case COMMAND_COMPLETE:
        this.#onComplete(reply.toString('latin1', HEADER_BYTES, reply.length - 1));
        return reply;
      default:
        return this.#shownError(reply);
    }
  }

  #onComplete(tag: string): void {
    if (WRITES.test(tag)) this.#wrote = true;
    if (ENDS.test(tag)) this.#decided = true;
    if (tag !== 'DISCARD ALL' && tag !== 'DEALLOCATE ALL') return;
    this.#statements.clear();
    this.droppedStatements = true;
    if (tag !== 'DISCARD ALL') return;
    this.pin = undefined;
    this.ownsSequences = false;
  }

  #shownError(reply: Buffer): Buffer {
    this.copyIn = false;
    this.#decided = true;
    const refusal = refusalBehind(reply);
    if (refusal) return refusal;
    const fields = errorFields(reply);
    if (fields.get('C') === '57014' && this.cancelReason !== undefined)
      return errorMessage({ severity: 'ERROR', sqlState: '57014', message: this.cancelReason });
    const text = fields.get('M') ?? '';
    if (!text.includes(this.#prefix)) return reply;
    const body = reply.toString('latin1', HEADER_BYTES).replaceAll(`"${this.#prefix}`, '"');
    return message(FromBackend.error, Buffer.from(body, 'latin1'));
  }

  get #prefix(): string {
    return `rokka${this.id}.`;
  }

  #renamed(name: string): Buffer {
    return zeroTerminated(this.#prefix + name, 'latin1');
  }
}

function isRepeatable(batch: readonly Buffer[]): boolean {
  const last = batch.at(-1)?.[0];
  return (
    (last === FromClient.query || last === FromClient.sync) && batch.every(([type]) => REPEATABLE.has(type))
  );
}
