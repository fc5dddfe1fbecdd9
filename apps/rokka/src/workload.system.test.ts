/**
 * pgbench, the workload that everybody knows, on a whole cluster: no transaction fails, the four sums of TPC-B agree, each
 * transaction that pgbench counted is in the history once, and the files are sound; also after the cluster was killed.
 *
 * ROKKA_PGBENCH_SECONDS (of each run) and ROKKA_PGBENCH_SCALE set how much.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { systemClock } from '@rokka/kernel';
import { runProgram, withoutPrograms } from './testing/client-program.ts';
import { assertIndexesAgree, assertIntact } from './testing/integrity.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const SECONDS = Number(process.env['ROKKA_PGBENCH_SECONDS'] ?? 5);
const SCALE = Number(process.env['ROKKA_PGBENCH_SCALE'] ?? 10);
const CLIENTS = 8;
const PROTOCOLS = ['simple', 'extended', 'prepared'];
const INITIALISE_MS = 600_000;
const timeout = 1_200_000 + PROTOCOLS.length * SECONDS * 2_000;
const KEYS = { pgbench_accounts: ['aid'], pgbench_tellers: ['tid'], pgbench_branches: ['bid'] };

const support = await probeNativeSupport();
const without = withoutPrograms('pgbench');
const withoutNative = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;

test('pgbench on native PostgreSQL', { timeout, skip: without || withoutNative }, (t) =>
  work(t, 'native', async (rokka) => t.diagnostic(`amcheck: ${JSON.stringify(await assertIntact(rokka))}`)),
);

// Its amcheck is an archive that the engine does not bring along: each index is compared with its table instead.
test('pgbench on PGlite', { timeout, skip: without }, (t) =>
  work(t, 'pglite', async (rokka) => void (await assertIndexesAgree(rokka, KEYS))),
);

async function work(
  t: TestContext,
  engine: 'native' | 'pglite',
  assertSound: (rokka: RokkaUnderTest) => Promise<void>,
): Promise<void> {
  await using place = await TestPlace.make();
  await using rokka = await RokkaUnderTest.start(place, { extra: ['--engine', engine] });
  const sinceMs = systemClock.nowMs();
  await runProgram(rokka, ['pgbench', '-i', '-q', '-s', String(SCALE)], { timeoutMs: INITIALISE_MS });
  t.diagnostic(`${engine}: ${SCALE * 100_000} accounts in ${Math.round(systemClock.nowMs() - sinceMs)} ms`);
  let transactions = 0;
  for (const protocol of PROTOCOLS) {
    const out = await bench(rokka, protocol);
    const figure = (label: RegExp) => Number(label.exec(out)?.[1]);
    assert.equal(figure(/number of failed transactions: (\d+)/), 0, out);
    const done = figure(/number of transactions actually processed: (\d+)/);
    assert.ok(done > 0, out);
    transactions += done;
    const tps = Math.round(figure(/tps = ([\d.]+)/));
    const latencyMs = figure(/latency average = ([\d.]+)/);
    t.diagnostic(`${engine} ${protocol}: ${done} transactions, ${tps} a second, ${latencyMs} ms each`);
  }
  await assertSums(rokka, transactions);
  await assertSound(rokka);

  const { supervisor } = await rokka.pids();
  rokka.kill([supervisor]);
  await rokka.up.ended();
  await rokka.again();
  await assertSums(rokka, transactions);
  await assertSound(rokka);
}

/** -n: the history of the runs before is kept. */
function bench(rokka: RokkaUnderTest, protocol: string): Promise<string> {
  const args = ['-n', '-M', protocol, '-c', String(CLIENTS), '-j', '1', '-T', String(SECONDS)] as const;
  return runProgram(rokka, ['pgbench', ...args], { timeoutMs: SECONDS * 1_000 + 180_000 });
}

async function assertSums(rokka: RokkaUnderTest, transactions: number): Promise<void> {
  const [found] = await rokka.query<Record<string, string>>(`
    select (select sum(abalance) from pgbench_accounts)::text as accounts,
           (select sum(tbalance) from pgbench_tellers)::text as tellers,
           (select sum(bbalance) from pgbench_branches)::text as branches,
           (select sum(delta) from pgbench_history)::text as history,
           (select count(*) from pgbench_history)::text as transactions,
           (select count(*) from pgbench_accounts)::text as rows`);
  const { history } = found;
  assert.deepEqual(found, {
    accounts: history,
    tellers: history,
    branches: history,
    history,
    transactions: String(transactions),
    rows: String(SCALE * 100_000),
  });
}
