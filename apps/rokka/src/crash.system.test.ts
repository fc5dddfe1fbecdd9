/**
 * Kills under load, for each engine. A ledger outside writes over several connections, pgbench moves money beside it, and
 * parts of the cluster are killed: after each round every acknowledged entry is there once and whole, the sums agree, and no
 * index and no table is damaged. ROKKA_CRASH_ROUNDS is the number of rounds of each kind, 2 unless given; a quarter of them
 * with PGlite, whose starts take longer.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { SeededRandom, systemClock, systemRandom } from '@rokka/kernel';
import { assertIndexesAgree, assertIntact } from './testing/integrity.ts';
import { Load } from './testing/load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const withoutNative = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const ROUNDS = Number(process.env['ROKKA_CRASH_ROUNDS'] ?? 2);
const seed = Number(process.env['ROKKA_CRASH_SEED'] ?? systemRandom.below(1_000_000));
const timeout = 300_000 + ROUNDS * 60_000;

/** Commits before, during and after what a round does. */
const COMMITS = 100;
const LOOK_AGAIN_MS = 50;
/** Between these: the writer gives a read and a fence 2 and 3 s. */
const STILL_MS = [500, 4_000] as const;
const NODES = [0, 1, 2, 3, 4, 5];
/** Columns with an index, by table. */
const LEDGER = { ledger: ['id', 'body'] };
const BENCH = { pgbench_accounts: ['aid'], pgbench_tellers: ['tid'], pgbench_branches: ['bid'] };

crashes({ engine: 'native', rounds: ROUNDS, skip: withoutNative });
crashes({ engine: 'pglite', rounds: Math.ceil(ROUNDS / 4), skip: false });

function crashes(of: { engine: 'native' | 'pglite'; rounds: number; skip: string | false }): void {
  const { engine, rounds, skip } = of;
  describe(`${engine}: crashes under load (seed ${seed})`, { skip }, () => {
    const random = new SeededRandom(seed);
    const resources = new AsyncDisposableStack();
    let place: TestPlace;
    let rokka: RokkaUnderTest;
    let load: Load;

    before(
      async () => {
        place = resources.use(await TestPlace.make());
        rokka = resources.use(await RokkaUnderTest.start(place, { extra: ['--engine', engine] }));
        load = resources.use(await Load.make(rokka, COMMITS));
      },
      { timeout },
    );
    after(() => resources.disposeAsync(), { timeout });

    async function round(t: TestContext, hurt: () => Promise<void>): Promise<void> {
      const phases = new Phases();
      await rokka.pids();
      await load.around(async () => {
        // Not always at the same moment of a commit.
        await systemClock.sleep(random.below(50));
        phases.end('before');
        await hurt();
        phases.end('hurt');
      });
      phases.end('after');
      const found = await load.verify();
      phases.end('ledger');
      const { indexes, tables } = await assertSound();
      phases.end('files');
      t.diagnostic(`${found}; ${indexes} indexes and ${tables} tables intact; ${phases.describe()}`);
    }

    /** PGlite does not bring amcheck along: there each index is compared with its table. */
    function assertSound(): Promise<{ indexes: number; tables: number }> {
      if (engine === 'native') return assertIntact(rokka);
      return assertIndexesAgree(rokka, { ...LEDGER, ...(load.bench ? BENCH : {}) });
    }

    /** Each time one of the nodes comes back it is killed again, until `COMMITS` more entries are acknowledged. */
    async function holdDown(nodes: readonly number[]): Promise<void> {
      const { head } = await rokka.pids();
      const restarts = (await rokka.status()).nodes.map((node) => node.restarts);
      const done = new AbortController();
      const progress = load.ledger.progress(COMMITS).finally(() => done.abort());
      do {
        const status = await rokka.status();
        rokka.kill(nodes.flatMap((node) => status.nodes[node]?.pid ?? []));
        await systemClock.sleep(LOOK_AGAIN_MS);
      } while (!done.signal.aborted);
      await progress;
      const status = await rokka.until('the nodes came back', ({ nodes: all }) =>
        all.every(({ pid, detail }) => pid !== undefined && detail !== undefined),
      );
      for (const node of nodes) assert.ok((status.nodes[node]?.restarts ?? 0) > (restarts[node] ?? 0));
      assert.equal(status.head.pid, head, 'the head did not need to start again');
    }

    for (let number = 1; number <= rounds; number++) {
      const of = `${number} of ${rounds}`;

      test(`any two nodes are down: commits go on (${of})`, { timeout }, (t) =>
        round(t, () => {
          const first = random.pick(NODES);
          return holdDown([first, random.pick(NODES.filter((node) => node !== first))]);
        }),
      );

      test(`both nodes of a zone are down: commits go on (${of})`, { timeout }, (t) =>
        round(t, () => {
          const zone = random.below(3);
          return holdDown([zone * 2, zone * 2 + 1]);
        }),
      );

      test(`two nodes stand still: commits go on (${of})`, { timeout }, (t) =>
        round(t, async () => {
          const { nodes, head } = await rokka.pids();
          const first = random.below(6);
          const still = [first, (first + 1 + random.below(5)) % 6].map((node) => nodes[node]);
          rokka.kill(still, 'SIGSTOP');
          const untilMs = systemClock.nowMs() + STILL_MS[0] + random.below(STILL_MS[1] - STILL_MS[0]);
          try {
            while (systemClock.nowMs() < untilMs) await load.ledger.progress(COMMITS);
          } finally {
            rokka.kill(still, 'SIGCONT');
          }
          assert.equal((await rokka.pids()).head, head, 'the head did not need to start again');
        }),
      );

      test(`the head is killed (${of})`, { timeout }, (t) =>
        round(t, async () => {
          const { head, postgres } = await rokka.pids();
          const { detail } = (await rokka.headStatus()).head;
          const errors = new Map(load.ledger.errors);
          rokka.kill([head]);
          await rokka.until(
            'another head serves',
            ({ head: { ready, pid } }) => ready && pid !== undefined && pid !== head,
          );
          if (!detail?.process?.canBeTakenOver) return;
          // It takes over: who uses the database does not notice.
          assert.equal((await rokka.pids()).postgres, postgres);
          load.assertNoneFailed(errors);
        }),
      );

      if (engine === 'native') {
        test(`the postmaster is killed (${of})`, { timeout }, (t) =>
          round(t, async () => {
            const { head, postgres } = await rokka.pids();
            rokka.kill([postgres]);
            const another = ({ head: { detail } }: Awaited<ReturnType<typeof rokka.status>>) =>
              detail !== undefined && ![undefined, postgres].includes(detail.engine['postgresPid']);
            await rokka.until('another server runs', another);
            assert.equal((await rokka.pids()).head, head, 'the head stays');
          }),
        );
      }

      test(`everything is killed at once (${of})`, { timeout }, (t) =>
        round(t, async () => {
          const { supervisor, nodes, head, postgres } = await rokka.pids();
          rokka.kill([supervisor, head, postgres, ...nodes].sort(() => random.below(3) - 1));
          await rokka.up.ended();
          await rokka.again();
        }),
      );

      test(`only the supervisor is killed, and started again at once (${of})`, { timeout }, (t) =>
        round(t, async () => {
          const { supervisor } = await rokka.pids();
          rokka.kill([supervisor]);
          await rokka.up.ended();
          await rokka.again();
        }),
      );
    }

    test('every entry of all rounds is still there', { timeout }, async (t) => {
      const { acknowledged } = await load.ledger.verifyAll();
      t.diagnostic(`${acknowledged} entries`);
    });
  });
}

/** What a round spends its time on. */
class Phases {
  readonly #took: string[] = [];
  #sinceMs = systemClock.nowMs();

  end(name: string): void {
    const nowMs = systemClock.nowMs();
    this.#took.push(`${name} ${((nowMs - this.#sinceMs) / 1000).toFixed(1)}`);
    this.#sinceMs = nowMs;
  }

  describe(): string {
    return `${this.#took.join(', ')} s`;
  }
}
