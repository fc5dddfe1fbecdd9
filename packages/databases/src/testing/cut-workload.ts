/**
 * A workload that writes in every way that PostgreSQL knows, and leaves traces by which a recovered database can be judged:
 * each transaction of a writer has the next number, moves an amount through four tables, and may do something else beside
 * it, which is there if and only if the number is there.
 */
import { must, type SeededRandom } from '@rokka/kernel';
import type { Session } from './cut-engine.ts';

export const ACCOUNTS = 2000;
export const TELLERS = 20;
export const BRANCHES = 2;
export const EXTRA_ROWS = 100;
/** Words of documents, as numbers below this. */
export const WORDS = 40;

const TABLES = ['account', 'teller', 'branch', 'journal', 'document'];

export async function prepare(session: Session): Promise<void> {
  await session.run('create extension amcheck');
  await session.run(`
    create table account (id int primary key, balance int not null, filler text not null);
    create table teller (id int primary key, balance int not null);
    create table branch (id int primary key, balance int not null);
    create table journal (writer int, seq int, account int not null, delta int not null, rebuilt bool not null,
      primary key (writer, seq));
    create index on journal (account);
    create table document (writer int, seq int, words int[] not null, body text not null, sum text not null,
      primary key (writer, seq));
    alter table document alter body set storage external;
    create index document_words on document using gin (words);
    insert into account select id, 0, repeat('x', 80) from generate_series(1, ${ACCOUNTS}) id;
    insert into teller select id, 0 from generate_series(1, ${TELLERS}) id;
    insert into branch select id, 0 from generate_series(1, ${BRANCHES}) id;`);
  await session.run('checkpoint');
}

/** One writer. Numbers begin at 1; `acknowledged` is told each when its answer has come. */
export class Writer {
  readonly #session: Session;
  readonly #random: SeededRandom;
  readonly #writer: number;
  readonly #acknowledged: (seq: number) => void;

  constructor(
    session: Session,
    options: { writer: number; random: SeededRandom; acknowledged: (seq: number) => void },
  ) {
    this.#session = session;
    this.#random = options.random;
    this.#writer = options.writer;
    this.#acknowledged = options.acknowledged;
  }

  async run(transactions: number): Promise<void> {
    for (let seq = 1; seq <= transactions; seq++) {
      if (this.#random.chance(0.15)) await this.#rollBack(seq);
      if (this.#random.chance(0.12)) await this.#session.run(this.#maintenance());
      await this.#commit(seq);
      this.#acknowledged(seq);
    }
  }

  async #commit(seq: number): Promise<void> {
    const beside = this.#random.below(10);
    const statements = ['begin', ...this.#transfer(seq, beside === 0)];
    if (beside === 0) statements.push(...this.#rebuild(seq));
    if (beside >= 1 && beside <= 3) statements.push(this.#newDocument(seq));
    if (beside === 4) statements.push(this.#changeDocuments());
    if (beside === 5) statements.push(`delete from document where seq % 7 = 0 and writer = ${this.#writer}`);
    if (beside === 6) {
      const many = `update journal set delta = delta where writer = ${this.#writer} and seq % 9 = 0`;
      statements.push('savepoint s', this.#newDocument(seq), many, 'rollback to s');
    }
    await this.#session.run([...statements, 'commit'].join(';\n'));
  }

  #transfer(seq: number, rebuilt: boolean): string[] {
    const account = 1 + this.#random.below(ACCOUNTS);
    const delta = this.#random.below(10_001) - 5000;
    return [
      `update account set balance = balance + ${delta} where id = ${account}`,
      `update teller set balance = balance + ${delta} where id = ${1 + this.#random.below(TELLERS)}`,
      `update branch set balance = balance + ${delta} where id = ${1 + this.#random.below(BRANCHES)}`,
      `insert into journal values (${this.#writer}, ${seq}, ${account}, ${delta}, ${rebuilt})`,
    ];
  }

  /** Files come and go with this. */
  #rebuild(seq: number): string[] {
    const name = `extra_${this.#writer}`;
    return [
      `drop table if exists ${name}`,
      `create table ${name} as select n, ${seq} as seq from generate_series(1, ${EXTRA_ROWS}) n`,
      `create index on ${name} (n)`,
      `alter table ${name} add column late int default ${seq}`,
    ];
  }

  /** The body lies outside of the row, in as many pieces as it takes. */
  #newDocument(seq: number): string {
    const words = Array.from({ length: 1 + this.#random.below(8) }, () => this.#random.below(WORDS));
    const body = this.#random.hex(500 + this.#random.below(8000));
    const values = `array[${words.join(', ')}], body, md5(body)`;
    return `insert into document select ${this.#writer}, ${seq}, ${values} from (values ('${body}')) as v (body)`;
  }

  #changeDocuments(): string {
    const words = `words || ${this.#random.below(WORDS)}`;
    const body = `body || '${this.#random.hex(40)}'`;
    return `update document set words = ${words}, body = ${body}, sum = md5(${body})
      where writer = ${this.#writer} and seq % 5 = ${this.#random.below(5)}`;
  }

  async #rollBack(seq: number): Promise<void> {
    const statements = ['begin', ...this.#transfer(seq, true), this.#newDocument(seq), ...this.#rebuild(seq)];
    await this.#session.run([...statements, 'rollback'].join(';\n'));
  }

  #maintenance(): string {
    const table = must(TABLES[this.#random.below(TABLES.length)]);
    const kinds = [
      'vacuum',
      'vacuum (freeze, analyze)',
      'vacuum full',
      'reindex table',
      'analyze',
      'checkpoint',
    ];
    const kind = this.#random.pick(kinds);
    return kind === 'checkpoint' ? kind : `${kind} ${table}`;
  }
}
