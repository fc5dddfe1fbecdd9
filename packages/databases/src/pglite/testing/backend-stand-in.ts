/**
 * A backend that knows of no rows, but of whose a transaction, a temporary table and a setting are: it fails where a statement of one
 * client comes into what is another one's, or runs twice. Statements carry their number in the spaces behind them, where the rules of
 * the proxy do not look.
 */
import assert from 'node:assert/strict';
import {
  errorMessage,
  FromBackend,
  FromClient,
  HEADER_BYTES,
  message,
  readyMessage,
  zeroTerminated,
  type TransactionStatus,
} from '../wire-messages.ts';

export const STATEMENTS = {
  plain: 'select 1',
  fails: 'select fails()',
  /** Looks as if it left no transaction open. */
  opens: 'select opens()',
  begin: 'begin',
  commit: 'commit',
  /** Looks as if it ended the transaction. */
  badCommit: 'end transaction',
  rollback: 'rollback',
  set: 'set work_mem = ',
  temporary: 'create temp table t ()',
  discard: 'discard all',
} as const;

const COMMAND_COMPLETE = 0x43;
const STATEMENTS_OF_ONE = 1_000_000;
const WORK_MEM = /work_mem'?(?:, '| = )(\d+)/;

/** The number of the `nth` statement of a client. */
export const statementNumber = (client: number, nth: number) => client * STATEMENTS_OF_ONE + nth;
export const clientOf = (statement: number) => Math.floor(statement / STATEMENTS_OF_ONE);

export function numbered(sql: string, statement: number): string {
  return `${sql}\n${statement.toString(2).replaceAll('0', ' ').replaceAll('1', '\t')}`;
}

/** What clients have done over all lives of the engine. */
export class History {
  readonly ran = new Set<number>();
  readonly committed = new Set<number>();
  /** By client: what it has set and was not rolled back. */
  readonly workMem = new Map<number, string>();
  readonly gone = new Set<number>();
}

export class BackendStandIn {
  readonly #history: History;
  #status: TransactionStatus = 'I';
  #holder: number | undefined;
  #pinned: number | undefined;
  #work: number[] = [];
  #workMem: string | undefined;
  #workMemBefore: string | undefined;

  constructor(history: History) {
    this.#history = history;
  }

  get atRest(): boolean {
    return this.#status === 'I';
  }

  /** Runs a batch of messages. `cancelled` makes its statements fail. */
  run(batch: Buffer, cancelled: boolean): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at < batch.length; at += 1 + batch.readUInt32BE(at + 1)) {
      const end = at + 1 + batch.readUInt32BE(at + 1);
      if (batch[at] === FromClient.query)
        out.push(...this.#query(batch.toString('latin1', at + HEADER_BYTES, end - 1), cancelled));
      else if (batch[at] === FromClient.sync) out.push(readyMessage(this.#status));
    }
    return Buffer.concat(out);
  }

  #query(text: string, cancelled: boolean): Buffer[] {
    const [sql, spaces] = text.split('\n');
    if (spaces === undefined) return [...this.#ours(sql), readyMessage(this.#status)];
    const statement = Number.parseInt(spaces.replaceAll(' ', '0').replaceAll('\t', '1'), 2);
    this.#check(statement, sql);
    const out = cancelled
      ? this.#failed('57014', statement)
      : this.#status === 'E' && sql !== STATEMENTS.rollback && sql !== STATEMENTS.commit
        ? this.#failed('25P02', statement)
        : this.#statement(sql, statement);
    return [...out, readyMessage(this.#status)];
  }

  #check(statement: number, sql: string): void {
    const client = clientOf(statement);
    assert.ok(!this.#history.ran.has(statement), `${statement} runs twice`);
    this.#history.ran.add(statement);
    if (this.#status !== 'I') assert.equal(client, this.#holder, `'${sql}' in the transaction of another`);
    if (this.#pinned !== undefined) assert.equal(client, this.#pinned, `'${sql}' sees a temporary table`);
    if (this.#status === 'I') assert.equal(this.#workMem, this.#history.workMem.get(client), `'${sql}'`);
  }

  #statement(sql: string, statement: number): Buffer[] {
    const client = clientOf(statement);
    switch (sql) {
      case STATEMENTS.begin:
        this.#begin(client);
        return done('BEGIN', statement);
      case STATEMENTS.opens:
        this.#begin(client);
        this.#work.push(statement);
        return done('SELECT 1', statement);
      case STATEMENTS.commit: {
        const isGood = this.#status !== 'E';
        if (isGood) for (const one of this.#work) this.#history.committed.add(one);
        this.#end(isGood);
        return done(isGood ? 'COMMIT' : 'ROLLBACK', statement);
      }
      case STATEMENTS.rollback:
        this.#end(false);
        return done('ROLLBACK', statement);
      case STATEMENTS.plain:
        if (this.#status === 'I') this.#history.committed.add(statement);
        else this.#work.push(statement);
        return done('SELECT 1', statement);
      case STATEMENTS.temporary:
        this.#pinned = client;
        return done('CREATE TABLE', statement);
      case STATEMENTS.discard:
        if (this.#status !== 'I') return this.#failed('25001', statement);
        this.#pinned = undefined;
        this.#set(client, undefined);
        return done('DISCARD ALL', statement);
      default: {
        const workMem = WORK_MEM.exec(sql)?.[1];
        if (workMem === undefined) return this.#failed('22012', statement);
        this.#set(client, workMem);
        return done('SET', statement);
      }
    }
  }

  /** What the proxy does by itself. */
  #ours(sql: string): Buffer[] {
    if (sql === 'rollback' || sql === 'discard all') {
      const whose = sql === 'rollback' ? this.#holder : this.#pinned;
      assert.ok(whose === undefined || this.#history.gone.has(whose), `${whose} is still there`);
      if (sql === 'rollback') this.#end(false);
      else [this.#pinned, this.#workMem] = [undefined, undefined];
      return [];
    }
    assert.equal(this.#status, 'I', `'${sql}' in the transaction of ${this.#holder}`);
    if (/session_user/.test(sql)) return [row('postgres', 'none')];
    if (/pg_settings/.test(sql)) return this.#workMem === undefined ? [] : [row('work_mem', this.#workMem)];
    if (/reset "work_mem"/.test(sql)) this.#workMem = undefined;
    this.#workMem = WORK_MEM.exec(sql)?.[1] ?? this.#workMem;
    return [];
  }

  #begin(client: number): void {
    if (this.#status !== 'I') return;
    this.#status = 'T';
    this.#holder = client;
    this.#work = [];
    this.#workMemBefore = this.#workMem;
  }

  #end(isGood: boolean): void {
    if (this.#status !== 'I' && !isGood) this.#set(this.#holder ?? 0, this.#workMemBefore);
    this.#status = 'I';
    this.#holder = undefined;
  }

  #set(client: number, workMem: string | undefined): void {
    this.#workMem = workMem;
    if (workMem === undefined) this.#history.workMem.delete(client);
    else this.#history.workMem.set(client, workMem);
  }

  #failed(sqlState: string, statement: number): Buffer[] {
    if (this.#status === 'T') this.#status = 'E';
    return [row(String(statement)), errorMessage({ severity: 'ERROR', sqlState, message: '' })];
  }
}

function done(tag: string, statement: number): Buffer[] {
  return [row(String(statement)), message(COMMAND_COMPLETE, zeroTerminated(tag))];
}

function row(...values: string[]): Buffer {
  const parts = [Buffer.of(0, values.length)];
  for (const value of values) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value.length);
    parts.push(length, Buffer.from(value));
  }
  return message(FromBackend.dataRow, ...parts);
}
