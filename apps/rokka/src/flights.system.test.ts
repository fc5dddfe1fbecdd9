/**
 * A real data set on a whole cluster: three million flights go in through COPY, the answers to joins and aggregates are
 * those that plain JavaScript finds in the same file, and still are when the cluster has been stopped and started.
 *
 * ROKKA_FLIGHTS sets how many of them; a third unless told otherwise, which is a minute of two cores.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { systemClock } from '@rokka/kernel';
import { runProgram, withoutPrograms } from './testing/client-program.ts';
import {
  airportsCsv,
  FLIGHT_QUERIES,
  FlightAnswers,
  FLIGHTS,
  flightsAsText,
  readFlights,
} from './testing/flights.ts';
import { assertIntact } from './testing/integrity.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const LIMIT = Math.min(FLIGHTS, Number(process.env['ROKKA_FLIGHTS'] ?? FLIGHTS));
const LOAD_MS = 1_200_000;
const timeout = 1_800_000;
const TABLES = `
  create table flights (date timestamp not null, delay int not null, distance int not null,
    origin text not null, destination text not null);
  create table airports (iata text primary key, name text, city text, state text, country text,
    latitude float8, longitude float8)`;

const support = await probeNativeSupport();
const skip =
  withoutPrograms('psql') ||
  (!support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`);

test(`${LIMIT} flights are what they were in the file`, { timeout, skip }, async (t) => {
  await using place = await TestPlace.make();
  // Far less than the tables take: what is asked for comes from the volume.
  await using rokka = await RokkaUnderTest.start(place, { extra: ['--set', 'shared_buffers=64MB'] });
  let sinceMs = systemClock.nowMs();
  const lap = (what: string) => {
    const nowMs = systemClock.nowMs();
    t.diagnostic(`${what}: ${Math.round(nowMs - sinceMs)} ms`);
    sinceMs = nowMs;
  };
  const airports = airportsCsv();
  const answers = new FlightAnswers({ limit: LIMIT, airports });
  await rokka.query(TABLES);
  await copyIn(rokka, `copy airports from stdin (format csv, header)`, once(airports));
  await copyIn(
    rokka,
    'copy flights from stdin',
    flightsAsText(readFlights(LIMIT), (rows) => answers.add(rows)),
  );
  lap(`copied ${answers.count} flights`);
  assert.equal(answers.count, LIMIT);
  await rokka.query('create index on flights (origin, date)');
  await rokka.query('vacuum analyze flights');
  lap('index and vacuum');

  await assertAnswers(rokka, answers);
  lap('answers');
  await rokka.stop();
  await rokka.again();
  lap('stop and start');
  await assertAnswers(rokka, answers);
  lap('answers again');
  t.diagnostic(`amcheck: ${JSON.stringify(await assertIntact(rokka))}`);
  lap('amcheck');
});

async function assertAnswers(rokka: RokkaUnderTest, answers: FlightAnswers): Promise<void> {
  const expected = answers.all();
  for (const name of Object.keys(FLIGHT_QUERIES) as (keyof typeof FLIGHT_QUERIES)[]) {
    const rows = await rokka.query(FLIGHT_QUERIES[name]);
    assert.ok(rows.length > 0, name);
    assert.deepEqual(rows.map(Object.values), expected[name], name);
  }
}

function copyIn(rokka: RokkaUnderTest, sql: string, input: AsyncIterable<string>): Promise<string> {
  return runProgram(rokka, ['psql', '-X', '-v', 'ON_ERROR_STOP=1', '-c', sql], { timeoutMs: LOAD_MS, input });
}

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}
