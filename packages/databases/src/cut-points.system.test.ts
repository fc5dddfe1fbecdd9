/**
 * The promise behind full_page_writes=off: whatever prefix of the replicated log is left, a sound filesystem lies in it, and
 * PostgreSQL recovers from that to every transaction that was acknowledged by then.
 *
 * ROKKA_CUT_POINTS sets how many cuts are tried with PGlite (half as many with the native engine), ROKKA_SEED the seed. They
 * are shared among programs that run beside each other, each with a recording of its own.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { systemClock, systemRandom } from '@rokka/kernel';
import { namespaceCommand } from './native/namespace.ts';
import { probeNativeSupport } from './native/probe.ts';
import { TestDirectory, vanishedPid } from './native/testing/stand-in.ts';
import type { CutEvent, CutProgramOptions } from './testing/cut-program.ts';

const CUTS = Number(process.env['ROKKA_CUT_POINTS'] ?? 40);
const PROGRAMS = 2;
const SEED = Number(process.env['ROKKA_SEED'] ?? systemRandom.below(2 ** 24));
/** An engine that is stuck says nothing more. */
const SILENCE_MS = 400_000;
const COMPLAINT_CHARS = 4000;
const timeout = 1_500_000 + CUTS * 5_000;

const support = await probeNativeSupport();
const withoutNative = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;

describe('cut at any mini-transaction, the log recovers to what was acknowledged', () => {
  test('PGlite', { timeout }, (t) => tryCuts(t, { engine: 'pglite', cuts: CUTS, transactions: 250 }));

  test('native PostgreSQL', { timeout, skip: withoutNative }, (t) =>
    tryCuts(t, { engine: 'native', cuts: Math.ceil(CUTS / 2), transactions: 120 }),
  );
});

async function tryCuts(
  t: TestContext,
  wanted: Pick<CutProgramOptions, 'engine' | 'cuts' | 'transactions'>,
): Promise<void> {
  const cuts = Math.ceil(wanted.cuts / PROGRAMS);
  const seeds = Array.from({ length: PROGRAMS }, (_, program) => SEED + program);
  await Promise.all(seeds.map((seed) => tryCutsOfOne(t, { ...wanted, cuts, seed })));
}

async function tryCutsOfOne(
  t: TestContext,
  wanted: Pick<CutProgramOptions, 'engine' | 'cuts' | 'transactions' | 'seed'>,
): Promise<void> {
  using directory = new TestDirectory();
  const { runDirectory, port } = await directory.options();
  const { events, end: how } = await run({ ...wanted, runDirectory, port });
  const repeat = `seed ${wanted.seed}; ROKKA_SEED=${SEED} ROKKA_CUT_POINTS=${CUTS}`;
  const only = (name: CutEvent['event']) => events.filter(({ event }) => event === name);
  for (const event of [...only('recorded'), ...only('done')])
    t.diagnostic(`${repeat}: ${JSON.stringify(event)}`);
  assert.deepEqual(only('failed'), [], repeat);
  assert.deepEqual(only('blind'), [], `damage that was not noticed, ${repeat}`);
  const end = events.at(-1);
  assert.equal(end?.event, 'done', `it ended early, ${repeat}: ${JSON.stringify(end)}; ${how}`);
  assert.deepEqual({ ok: end.ok, seen: only('seen').length > 0 }, { ok: wanted.cuts, seen: true }, repeat);
}

interface Run {
  readonly events: readonly CutEvent[];
  /** How it ended, with the last that it complained of. */
  readonly end: string;
}

/** Everything that the program says until it ends, or is silent for too long. */
async function run(options: CutProgramOptions): Promise<Run> {
  const file = path.join(import.meta.dirname, 'testing', 'cut-program.ts');
  const args = ['--max-old-space-size=1500', file, JSON.stringify(options)];
  const plain = { command: process.execPath, args };
  const { command, args: words } = options.engine === 'native' ? namespaceCommand(plain) : plain;
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
  const events: CutEvent[] = [];
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = `${complaint}${text}`.slice(-COMPLAINT_CHARS);
  });
  const ended = new Promise<string>((done) => {
    child.once('close', (code, signal) => done(`code ${code}, signal ${signal}`));
  });
  const kill = () => void child.kill('SIGKILL');
  let cancel = systemClock.after(SILENCE_MS, kill);
  try {
    for await (const line of readline.createInterface({ input: child.stdout })) {
      events.push(JSON.parse(line) as CutEvent);
      cancel();
      cancel = systemClock.after(SILENCE_MS, kill);
    }
    return { events, end: `${await ended}; it complained: ${complaint}` };
  } finally {
    cancel();
    kill();
    if (child.pid !== undefined) await vanishedPid(child.pid);
  }
}
