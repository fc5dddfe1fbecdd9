/**
 * Three million real flights (vega-datasets), read a row group at a time, so that no more than a tenth of them is in memory;
 * as text for COPY, and as answers computed in plain JavaScript, apart from any database.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { parquetMetadata, parquetRead } from 'hyparquet';
import { must } from '@rokka/kernel';

export const FLIGHTS = 3_000_000;

const ROWS_PER_PIECE = 10_000;

export interface FlightRows {
  readonly count: number;
  readonly date: readonly Date[];
  /** Minutes. */
  readonly delay: readonly number[];
  /** Miles. */
  readonly distance: readonly number[];
  readonly origin: readonly string[];
  readonly destination: readonly string[];
}

/** The first `limit` flights, in the order of the file. */
export async function* readFlights(limit: number): AsyncGenerator<FlightRows> {
  const bytes = readFileSync(datasetPath('flights-3m.parquet'));
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = parquetMetadata(file);
  const compressors = { ZSTD: (input: Uint8Array) => zlib.zstdDecompressSync(input) };
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = Math.min(limit, rowStart + Number(group.num_rows));
    if (rowEnd <= rowStart) return;
    const columns = new Map<string, unknown[]>();
    await parquetRead({
      file,
      metadata,
      compressors,
      rowStart,
      rowEnd,
      onChunk: ({ columnName, columnData }) => void columns.set(columnName, Array.from(columnData)),
    });
    const column = <T>(name: string) => must(columns.get(name), `no column ${name}`) as T[];
    yield {
      count: rowEnd - rowStart,
      date: column('date'),
      delay: column<bigint>('delay').map(Number),
      distance: column<bigint>('distance').map(Number),
      origin: column('origin'),
      destination: column('destination'),
    };
    rowStart = rowEnd;
  }
}

/** What COPY FROM STDIN takes for a table of these five columns. Hands each group to `seen` on the way. */
export async function* flightsAsText(
  groups: AsyncIterable<FlightRows>,
  seen: (rows: FlightRows) => void,
): AsyncGenerator<string> {
  for await (const rows of groups) {
    seen(rows);
    for (let from = 0; from < rows.count; from += ROWS_PER_PIECE) {
      let text = '';
      for (let i = from; i < Math.min(rows.count, from + ROWS_PER_PIECE); i++) {
        const date = must(rows.date[i]).toISOString().slice(0, -1);
        text += `${date}\t${rows.delay[i]}\t${rows.distance[i]}\t${rows.origin[i]}\t${rows.destination[i]}\n`;
      }
      yield text;
    }
  }
}

export function airportsCsv(): string {
  return readFileSync(datasetPath('airports.csv'), 'utf8');
}

type Answers = Record<keyof typeof FLIGHT_QUERIES, readonly (readonly unknown[])[]>;

const PERCENTILES = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1];

/** Sums as float8: whole numbers that JavaScript has exactly. */
export const FLIGHT_QUERIES = {
  byOrigin: `select origin, count(*)::int, sum(delay)::float8, round(avg(delay), 4)::text
    from flights group by origin order by origin`,
  byMonth: `select to_char(date, 'YYYY-MM') as month, count(*)::int, sum(delay)::float8 as delay, sum(distance)::float8 as distance
    from flights group by month order by month`,
  topRoutes: `select origin, destination, count(*)::int as flights
    from flights group by origin, destination order by flights desc, origin, destination limit 25`,
  byState: `select coalesce(state, '?') as state, count(*)::int, sum(distance)::float8
    from flights left join airports on iata = origin group by state order by state`,
  fromAtlanta: `select destination, count(*)::int, max(delay) from flights
    where origin = 'ATL' and date >= '2001-01-01' and date < '2001-02-01' group by destination order by destination`,
  delays: `select unnest(percentile_disc(array[${PERCENTILES.join(', ')}]) within group (order by delay)) as delay
    from flights`,
} as const;

interface Sums {
  flights: number;
  delay: number;
  delayMost: number;
  distance: number;
}

/** The answers to FLIGHT_QUERIES, found while the flights go by. */
export class FlightAnswers {
  readonly #byOrigin = new Map<string, Sums>();
  readonly #byMonth = new Map<string, Sums>();
  readonly #byRoute = new Map<string, Sums>();
  readonly #fromAtlanta = new Map<string, Sums>();
  readonly #delays: Int32Array;
  readonly #stateOf = new Map<string, string>();
  #count = 0;

  constructor(options: { limit: number; airports: string }) {
    this.#delays = new Int32Array(options.limit);
    for (const line of options.airports.trim().split('\n').slice(1)) {
      // The name is in quotes where it has a comma; the state is the fourth field from the end.
      const fields = line.split(',');
      this.#stateOf.set(must(fields[0]), fields.at(-4) || '?');
    }
  }

  get count(): number {
    return this.#count;
  }

  add({ count, date, delay, distance, origin, destination }: FlightRows): void {
    for (let i = 0; i < count; i++) {
      const from = must(origin[i]);
      const to = must(destination[i]);
      const flight = { delay: must(delay[i]), distance: must(distance[i]) };
      const month = must(date[i]).toISOString().slice(0, 7);
      add(this.#byOrigin, from, flight);
      add(this.#byMonth, month, flight);
      add(this.#byRoute, `${from} ${to}`, flight);
      if (from === 'ATL' && month === '2001-01') add(this.#fromAtlanta, to, flight);
      this.#delays[this.#count++] = flight.delay;
    }
  }

  all(): Answers {
    const delays = this.#delays.slice(0, this.#count).sort();
    return {
      byOrigin: inOrder(this.#byOrigin).map(([origin, { flights, delay }]) => [
        origin,
        flights,
        delay,
        mean(delay, flights),
      ]),
      byMonth: inOrder(this.#byMonth).map(([month, { flights, delay, distance }]) => [
        month,
        flights,
        delay,
        distance,
      ]),
      topRoutes: inOrder(this.#byRoute)
        .sort(([, a], [, b]) => b.flights - a.flights)
        .slice(0, 25)
        .map(([route, { flights }]) => [...route.split(' '), flights]),
      byState: this.#byState(),
      fromAtlanta: inOrder(this.#fromAtlanta).map(([to, { flights, delayMost }]) => [to, flights, delayMost]),
      // percentile_disc: the first value that at least this part of all is not above.
      delays: PERCENTILES.map((part) => [delays[Math.max(0, Math.ceil(part * this.#count) - 1)]]),
    };
  }

  #byState(): unknown[][] {
    const states = new Map<string, { flights: number; distance: number }>();
    for (const [origin, { flights, distance }] of this.#byOrigin) {
      const state = this.#stateOf.get(origin) ?? '?';
      const sum = states.get(state) ?? { flights: 0, distance: 0 };
      states.set(state, { flights: sum.flights + flights, distance: sum.distance + distance });
    }
    return inOrder(states).map(([state, { flights, distance }]) => [state, flights, distance]);
  }
}

function add(
  to: Map<string, Sums>,
  key: string,
  { delay, distance }: { delay: number; distance: number },
): void {
  const sums = to.get(key);
  if (!sums) return void to.set(key, { flights: 1, delay, delayMost: delay, distance });
  sums.flights++;
  sums.delay += delay;
  sums.delayMost = Math.max(sums.delayMost, delay);
  sums.distance += distance;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** With four places, rounded half away from zero, as numeric does it. */
function mean(sum: number, count: number): string {
  const halves = (BigInt(Math.abs(sum)) * 20_000n) / BigInt(count);
  const digits = String((halves + 1n) / 2n).padStart(5, '0');
  const sign = sum < 0 && /[1-9]/.test(digits) ? '-' : '';
  return `${sign}${digits.slice(0, -4)}.${digits.slice(-4)}`;
}

function datasetPath(name: string): string {
  return fileURLToPath(new URL(`../data/${name}`, import.meta.resolve('vega-datasets')));
}
