/** What a cluster has to bear while a test hurts it: the ledger's clients and pgbench's, side by side. */
import assert from 'node:assert/strict';
import { BenchLoad, type Database } from './bench-load.ts';
import { Ledger } from './ledger.ts';

const CONNECTIONS = 6;

export class Load implements AsyncDisposable {
  readonly ledger: Ledger;
  /** Undefined where pgbench is not installed. */
  readonly bench: BenchLoad | undefined;
  readonly #commits: number;

  private constructor(of: { ledger: Ledger; bench: BenchLoad | undefined; commits: number }) {
    this.ledger = of.ledger;
    this.bench = of.bench;
    this.#commits = of.commits;
  }

  /** `commits`: how many of the ledger's there must be before and after what is done under the load. */
  static async make(database: Database, commits: number): Promise<Load> {
    await using stack = new AsyncDisposableStack();
    const ledger = stack.use(new Ledger(() => database.connection()));
    await ledger.create();
    const load = new Load({ ledger, bench: await BenchLoad.make(database), commits });
    stack.move();
    return load;
  }

  /** Bears the load before, during and after `work`. */
  async around(work: () => Promise<void>): Promise<void> {
    this.start();
    try {
      await this.ledger.progress(this.#commits);
      await work();
      await this.ledger.progress(this.#commits);
    } finally {
      await this.pause();
    }
  }

  /** @param options.bodyBytes of each of the ledger's rows */
  start(options: { bodyBytes?: number } = {}): void {
    this.ledger.start({ connections: CONNECTIONS, ...options });
    this.bench?.start();
  }

  /** pgbench is killed, the ledger's clients end after the statements that are under way. */
  async pause(): Promise<void> {
    await this.bench?.stop();
    await this.ledger.pause();
  }

  /** Every acknowledged entry is there once and whole, and pgbench's sums agree. What was found, for people. */
  async verify(): Promise<string> {
    const { acknowledged, unknownThere } = await this.ledger.verify();
    const moved = await this.bench?.assertBalanced();
    return (
      `${acknowledged} acknowledged entries there, ${unknownThere} of ${this.ledger.unknown} unknown; ` +
      `${moved ?? 'no'} transfers`
    );
  }

  /** No transaction has failed so far: neither the ledger's, since it was `errors`, nor one of pgbench's since it was started. */
  assertNoneFailed(errors: ReadonlyMap<string, number> = new Map()): void {
    assert.deepEqual(this.ledger.errors, errors, 'no transaction of the ledger failed');
    this.bench?.assertRuns();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench?.stop();
    await this.ledger[Symbol.asyncDispose]();
  }
}
