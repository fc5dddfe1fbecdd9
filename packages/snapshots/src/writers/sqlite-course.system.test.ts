/**
 * Whole courses over the files of programs that have a SQLite database open with a write-ahead log, and write all the time. The snapshot is a copy, made
 * when all hold; strangers are looked for as for a real one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '@rokka/kernel';
import type { Coordination } from '../coordination.ts';
import { coordinate } from '../coordinator.ts';
import { outcomeOf, type Outcome } from '../outcome.ts';
import type { Provider } from '../provider.ts';
import { straysOn } from '../strays.ts';
import { files } from './files.ts';
import { sqlite } from './sqlite.ts';
import { sqliteVerifier } from './sqlite-verifier.ts';
import { SqliteLoad } from './testing/sqlite-program.ts';

const timeout = 300_000;
const signal = () => AbortSignal.timeout(120_000);
const JOURNAL_MODES = ['wal', 'truncate'];

for (const journalMode of JOURNAL_MODES)
  test(
    `journal_mode ${journalMode}: of a program that writes all the time, a copy is consistent, and has every row that was acknowledged`,
    { timeout },
    async (t) => {
      const place = new Place(t);
      const file = path.join(place.volume, 'app.db');
      await using load = await SqliteLoad.start({ file, journalMode });
      let acknowledged = 0;
      const outcome = await course(place, { onCopying: () => (acknowledged = load.committed) });
      assert.deepEqual([outcome.level, outcome.reasons], ['application', []]);
      await load.goesOn();
      const restored = path.join(place.copy, 'app.db');
      if (journalMode === 'wal') assert.equal(fs.statSync(`${restored}-wal`).size, 0);
      assert.deepEqual(await sqliteVerifier.verify({ mountPoints: [place.copy], signal: signal() }), [
        { what: restored, isClean: true, words: 'whole, with nothing to recover' },
      ]);
      using database = new DatabaseSync(restored);
      const rows = Number(database.prepare('SELECT count(*) AS count FROM t').get()?.['count']);
      assert.ok(
        acknowledged > 0 && rows >= acknowledged,
        `${rows} of ${acknowledged} that were acknowledged`,
      );
      assert.ok(rows < load.committed, 'it went on');
    },
  );

test('who has the log of a database open that nobody holds is named', { timeout }, async (t) => {
  const place = new Place(t);
  const file = path.join(place.volume, 'app.db');
  await using load = await SqliteLoad.start({ file, journalMode: 'wal' });
  // It is there when all databases have been found.
  const log = path.join(place.volume, 'app.db.other-wal');
  using opened = new DisposableStack();
  const onFound = () => {
    const handle = fs.openSync(log, 'a');
    opened.defer(() => fs.closeSync(handle));
  };
  const outcome = await course(place, { onFound });
  assert.equal(outcome.level, 'filesystem');
  assert.deepEqual(
    outcome.reasons.map((reason) => reason.replace(/ for .* \(pid/, ' for (pid')),
    [`no writer speaks for (pid ${process.pid}), which writes ${log}`],
  );
  await load.goesOn();
});

test('whose readers keep its log is told', { timeout }, async (t) => {
  const place = new Place(t);
  const file = path.join(place.volume, 'app.db');
  await using _load = await SqliteLoad.start({ file, journalMode: 'wal' });
  using reader = new DatabaseSync(file);
  reader.exec('BEGIN; SELECT count(*) FROM t');
  const { level, reasons } = await course(place, { holdMs: 4_000 });
  assert.equal(level, 'crash');
  assert.equal(reasons.length, 1);
  assert.match(
    reasons[0] ?? '',
    /^sqlite reached the level crash: .*app\.db: readers that do not end, .* keep \d+ bytes/,
  );
});

/** As `AWSEC2-CreateVssSnapshot` makes it, without AWS. */
async function course(
  place: Place,
  on: { onFound?(): void; onCopying?(): void; holdMs?: number },
): Promise<Outcome> {
  const volumes = [{ volume: 'vol-1', mountPoint: place.volume }];
  await using owned = new AsyncDisposableStack();
  const discovered = [sqlite(on), files].map((kind) => kind.discover({ volumes, signal: signal() }));
  const tiers = await Promise.all(discovered);
  for (const writer of tiers.flat()) owned.use(writer);
  on.onFound?.();
  const strays = new Set<string>();
  let now: Coordination | undefined;
  const look = async () => {
    const components = now?.writers.flatMap((writer) => writer.components) ?? [];
    for (const stray of await straysOn({ volumes, components, signal: signal() })) strays.add(stray);
  };
  const provider: Provider = {
    holds: false,
    hold: async () => {},
    release: async () => {},
    async snapshot() {
      await look();
      on.onCopying?.();
      await promisify(execFile)('cp', ['-a', place.volume, place.copy]);
      return { id: 'set-1', snapshots: [{ volume: 'vol-1', snapshot: 'snap-1' }] };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const ended = await coordinate({ tiers, provider, clock: systemClock, onTurn: (turn) => (now = turn) });
  await look();
  return outcomeOf(ended, { strays: [...strays], withoutWriters: false });
}

class Place {
  readonly volume: string;
  readonly copy: string;

  constructor(t: TestContext) {
    const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-sqlite-course-'));
    t.after(() => fs.rmSync(base, { recursive: true, force: true }));
    this.volume = path.join(base, 'volume');
    this.copy = path.join(base, 'copy');
    fs.mkdirSync(this.volume);
  }
}
