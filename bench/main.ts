/**
 * Rokka beside its peers, in one run, interleaved: `npm run bench`.
 *
 *   --quick          fewer and smaller points, one Rokka for many topics (less than three minutes)
 *   --json           one JSON object a row: {"row", "value", "unit", "goal", "met"}
 *   --rounds N       rounds of which the median is taken (default 5; quick 1)
 *   --seconds N      a point's length (default 6; quick 1)
 *   --scale N        pgbench scale (default 10; quick 3)
 *   --clients LIST   default 1,4,16,32; quick 1,16
 *   --only LIST      of the topics below; default all
 *   --minutes N      of the soak (default 2; quick 0.1); an hour shows what grows
 *   --log LIST       megabytes of log since a checkpoint before a recovery (default 1,10,40; quick 1)
 *   --written LIST   megabytes that a load has written before the head is killed (default 10,10000; quick 10)
 *
 * A topic that lacks a program is skipped, one that fails ends by itself; the others go on. The exit status is 0 whether or
 * not the goals are met: a benchmark measures, it does not judge. It is 1 where a topic failed, 130 after Ctrl-C.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { append } from './append.ts';
import { besidePostgres } from './beside-postgres.ts';
import { clone } from './clone.ts';
import { holds } from './holds.ts';
import { copy } from './copy.ts';
import { embedded } from './embedded.ts';
import { files } from './files.ts';
import { growth } from './growth.ts';
import { interrupted, Interruption, listenForInterruption } from './interruption.ts';
import { reads } from './reads.ts';
import { recovery } from './recovery.ts';
import { printJson, printTable, type Row } from './report.ts';
import { RokkaLender } from './rokka-lender.ts';
import { soak } from './soak.ts';
import { start } from './start.ts';
import { type Plan, type Topic, whySkipped } from './topic.ts';
import { written } from './written.ts';

/**
 * Those that a Rokka is lent to come last, so that in the quick run it is not there beside the others: by engine, and first the
 * one whose figures what others leave would change.
 */
const TOPICS: Record<string, Topic> = {
  append,
  reads,
  growth,
  holds,
  soak,
  pgbench: besidePostgres,
  copy,
  files,
  recovery,
  written,
  clone,
  start,
  pglite: embedded,
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    scale: { type: 'string' },
    clients: { type: 'string' },
    only: { type: 'string' },
    minutes: { type: 'string' },
    log: { type: 'string' },
    written: { type: 'string' },
  },
});
const quick = values.quick ?? false;
const numbers = (list: string) => list.split(',').map(Number);
const say = (text: string) => process.stderr.write(`${text}\n`);
const plan: Omit<Plan, 'directory' | 'rokka'> = {
  quick,
  rounds: Number(values.rounds ?? (quick ? 1 : 5)),
  seconds: Number(values.seconds ?? (quick ? 1 : 6)),
  scale: Number(values.scale ?? (quick ? 3 : 10)),
  clients: numbers(values.clients ?? (quick ? '1,16' : '1,4,16,32')),
  minutes: Number(values.minutes ?? (quick ? 0.1 : 2)),
  logMegabytes: numbers(values.log ?? (quick ? '1' : '1,10,40')),
  writtenMegabytes: numbers(values.written ?? (quick ? '10' : '10,10000')),
  say,
};

async function main(): Promise<void> {
  const chosen = values.only?.split(',') ?? Object.keys(TOPICS);
  const unknown = chosen.filter((name) => !(name in TOPICS));
  if (unknown.length > 0)
    throw new Error(`no topic ${unknown.join(', ')}: choose of ${Object.keys(TOPICS).join(', ')}`);
  listenForInterruption();
  const root = mkdtempSync(path.join(os.tmpdir(), 'rokka-bench-'));
  chmodSync(root, 0o755);
  const { rounds, seconds, scale } = plan;
  say(
    `${os.cpus().length} cores (${os.cpus()[0]?.model}), ${os.release()}, Node ${process.versions.node}; ${rounds} rounds of ${seconds} s, scale ${scale}`,
  );
  // Else each new data directory is begun with compiling the same code.
  if (quick) process.env['NODE_COMPILE_CACHE'] ??= path.join(root, 'compile-cache');
  const rows: Row[] = [];
  try {
    if (quick) say('one Rokka is lent to one topic after the other, with the settings of pgbench');
    await using lender = new RokkaLender({ directory: root, shared: quick });
    for (const [name, topic] of Object.entries(TOPICS))
      if (chosen.includes(name) && !interrupted.aborted)
        rows.push(...(await rowsOf(topic, { name, root, lender })));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  (values.json ? printJson : printTable)(rows);
  if (!interrupted.aborted) return;
  const reason = interrupted.reason as Error;
  say(reason instanceof Interruption ? reason.message : String(reason.stack));
  process.exitCode = reason instanceof Interruption ? 130 : 1;
}

async function rowsOf(topic: Topic, of: { name: string; root: string; lender: RokkaLender }): Promise<Row[]> {
  const { name, root, lender } = of;
  const why = await whySkipped(topic);
  if (why !== undefined) return [{ row: name, skipped: why }];
  const directory = path.join(root, name);
  mkdirSync(directory);
  const startMs = performance.now();
  try {
    return await topic.rows({ ...plan, directory, rokka: (wish) => lender.lend(wish) });
  } catch (error) {
    process.exitCode = 1;
    if (!interrupted.aborted) say(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
    // Nobody knows what state it is in.
    await lender.end();
    const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return [{ row: name, skipped: interrupted.aborted ? 'interrupted' : `failed: ${message}` }];
  } finally {
    await lender.takeBack();
    say(`${name}: ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
