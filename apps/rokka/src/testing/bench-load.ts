/**
 * pgbench in the background, where it is installed: its transactions move money, so that the sums of four tables must stay
 * equal whatever is killed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { must } from '@rokka/kernel';
import type { RokkaUnderTest } from './rokka-under-test.ts';

export type Database = Pick<RokkaUnderTest, 'connection' | 'query'>;

const CLIENTS = 4;
/** It is killed before: one that ended by itself would look as if it had been given up. */
const SECONDS_MAX = 3_600;
const COMPLAINTS_MAX = 4_000;

export class BenchLoad {
  static readonly installed = spawnSync('pgbench', ['--version']).status === 0;
  readonly #rokka: Database;
  #process: ChildProcess | undefined;
  #complaints = '';

  private constructor(rokka: Database) {
    this.#rokka = rokka;
  }

  /** Undefined where pgbench is not installed. */
  static async make(rokka: Database): Promise<BenchLoad | undefined> {
    if (!BenchLoad.installed) return undefined;
    const load = new BenchLoad(rokka);
    const making = load.#spawn(['-i', '-s', '1', '-q']);
    let said = '';
    making.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const status = await new Promise((done) => making.once('close', done));
    assert.equal(status, 0, `pgbench made its tables: ${said}`);
    return load;
  }

  /** It ends by itself when its connections break. */
  start(): void {
    this.#process = this.#spawn(['-n', '-c', String(CLIENTS), '-T', String(SECONDS_MAX)]);
    this.#complaints = '';
    this.#process.stderr?.on('data', (bytes: Buffer) => {
      if (this.#complaints.length < COMPLAINTS_MAX) this.#complaints += bytes.toString();
    });
  }

  async stop(): Promise<void> {
    const process = this.#process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await new Promise((done) => process.once('close', done));
  }

  /** None of its clients has been given up, as each is whose transaction fails. */
  assertRuns(): void {
    assert.equal(this.#complaints, '', 'no transaction of pgbench failed');
    assert.equal(must(this.#process).exitCode, null, 'pgbench runs');
  }

  /** How many of its transactions are there. */
  async assertBalanced(): Promise<number> {
    const [sums] = await this.#rokka.query<Record<string, string>>(
      `select (select coalesce(sum(delta), 0) from pgbench_history) as history,
        (select sum(abalance) from pgbench_accounts) as accounts,
        (select sum(tbalance) from pgbench_tellers) as tellers,
        (select sum(bbalance) from pgbench_branches) as branches,
        (select count(*) from pgbench_history) as transactions`,
    );
    const { history, accounts, tellers, branches, transactions } = must(sums);
    assert.deepEqual([accounts, tellers, branches], [history, history, history], 'the sums agree');
    return Number(transactions);
  }

  #spawn(args: string[]): ChildProcess {
    const { host, port, user, database, password } = this.#rokka.connection();
    return spawn('pgbench', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: user,
        PGDATABASE: database,
        PGPASSWORD: password as string,
      },
    });
  }
}
