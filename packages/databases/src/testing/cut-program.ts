/**
 * A process that runs cut points on one engine and says on standard output what happens, one JSON object a line. A process
 * of its own, because the native engine wants a namespace and PGlite may take its process down.
 */
import { describeError, systemClock } from '@rokka/kernel';
import type { CutEngine } from './cut-engine.ts';
import { chooseCuts, Prefixes, record, tryCut, type Recording } from './cut-points.ts';

export interface CutProgramOptions {
  readonly engine: 'native' | 'pglite';
  readonly seed: number;
  readonly transactions: number;
  readonly cuts: number;
  /** For the native engine: where its sockets lie, and how they are called. */
  readonly runDirectory: string;
  readonly port: number;
}

export type CutEvent =
  | {
      readonly event: 'recorded';
      readonly operations: number;
      readonly acknowledged: readonly number[];
      readonly ms: number;
    }
  /** Said before, so that one that never ends is known. */
  | { readonly event: 'cut'; readonly position: number; readonly crashes: number }
  | { readonly event: 'failed'; readonly position: number; readonly crashes: number; readonly why: string }
  /** Damage done on purpose was noticed, or was not. */
  | { readonly event: 'seen' | 'blind'; readonly control: string; readonly why: string }
  | { readonly event: 'done'; readonly ok: number; readonly ms: number };

interface Damage {
  readonly control: string;
  /** What the judge says about it, and not about something else. */
  readonly notice: RegExp;
  readonly change?: (positions: readonly number[], end: number) => readonly number[];
  readonly spoil?: string;
}

const FAILURES_MAX = 5;
const DAMAGES: readonly Damage[] = [
  {
    control: 'a transaction that was acknowledged is lost',
    notice: /was acknowledged, \d+ is the last one there/,
    change: (positions, end) => [...positions, end],
  },
  {
    control: 'nobody sent a transaction',
    notice: /is there, only \d+ was acknowledged/,
    change: (positions) => positions.slice(0, -2),
  },
  {
    control: 'a balance',
    notice: /accounts/,
    spoil: 'update account set balance = balance + 1 where id = 7',
  },
  { control: 'a long value', notice: /bodies/, spoil: `update document set body = body || 'x'` },
  {
    control: 'an index that lacks a row',
    notice: /lacks matching index tuple/,
    spoil: `update pg_index set indisready = false where indexrelid = 'journal_account_idx'::regclass;
      insert into journal values (-2, 1, 1, 0, false);
      update pg_index set indisready = true where indexrelid = 'journal_account_idx'::regclass`,
  },
];

async function main(options: CutProgramOptions): Promise<void> {
  const engine = await load(options);
  const startedMs = systemClock.nowMs();
  const elapsedMs = () => Math.round(systemClock.nowMs() - startedMs);
  const recording = await record(engine, options);
  const { history, from, acknowledgements } = recording;
  say({
    event: 'recorded',
    operations: history.length - from,
    acknowledged: acknowledgements.map(({ length }) => length),
    ms: elapsedMs(),
  });
  const prefixes = new Prefixes(recording);
  await seesDamage(engine, { recording, prefixes, seed: options.seed });
  let ok = 0;
  let failures = 0;
  for (const cut of chooseCuts(recording, { seed: options.seed, count: options.cuts })) {
    say({ event: 'cut', ...cut });
    try {
      await tryCut(engine, recording, prefixes, { ...cut, seed: options.seed });
      ok++;
    } catch (error) {
      const why = error instanceof Error ? (error.stack ?? error.message) : describeError(error);
      say({ event: 'failed', ...cut, why });
      if (++failures === FAILURES_MAX) break;
    }
  }
  say({ event: 'done', ok, ms: elapsedMs() });
}

/** What the judge would overlook it would overlook in every cut: so it is shown damage first. */
async function seesDamage(
  engine: CutEngine,
  of: { recording: Recording; prefixes: Prefixes; seed: number },
): Promise<void> {
  const { recording, prefixes, seed } = of;
  const position = recording.history.length;
  for (const { control, notice, spoil = '', change } of DAMAGES) {
    const acknowledgements = recording.acknowledgements.map((positions) =>
      change ? change(positions, position) : positions,
    );
    try {
      await tryCut(engine, { acknowledgements }, prefixes, { position, crashes: 0, seed, spoil });
      say({ event: 'blind', control, why: 'it is content' });
    } catch (error) {
      const why = describeError(error);
      say({ event: notice.test(why) ? 'seen' : 'blind', control, why });
    }
  }
}

async function load(options: CutProgramOptions): Promise<CutEngine> {
  if (options.engine === 'pglite') return (await import('./pglite-on-pages.ts')).pgliteOnPages();
  return (await import('./native-on-pages.ts')).nativeOnPages(options);
}

function say(event: CutEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

if (import.meta.main) {
  await main(JSON.parse(process.argv[2] ?? '{}') as CutProgramOptions);
  // PGlite leaves listeners behind that would keep the process.
  process.exit(0);
}
