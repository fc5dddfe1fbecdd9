/**
 * The process of the dead-man switch (dead-man.ts), in a session of its own. Everything that it needs is there before the first freeze: its code
 * is loaded, the directories are open (descriptors from 3 on), and fsfreeze has been run once. It opens no file and writes no log
 * from then on.
 *
 * Lines come in on its standard input: `freeze`, `thaw`; lines of JSON go out. When the input ends, whoever would have told it is gone.
 * Arguments: the path of fsfreeze, the mark of the attempt, the time in ms, and the names of the file systems.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as readline from 'node:readline';
import { must, systemClock } from '@rokka/kernel';
import { DeadMan, type Freezable } from './dead-man.ts';
import { fsfreeze } from './fsfreeze.ts';
import type { WatchdogSays } from './watchdog.ts';

const FIRST_DESCRIPTOR = 3;
const STDOUT = 1;
const [program, mark, holdMs, ...names] = process.argv.slice(2);

const say = (words: WatchdogSays) => void process.stdout.write(`${JSON.stringify(words)}\n`);
const freezables = names.map((name, at) =>
  telling(
    fsfreeze({
      name,
      descriptor: FIRST_DESCRIPTOR + at,
      program: must(program),
      mark: must(mark),
      kept: STDOUT,
    }),
  ),
);
const deadMan = new DeadMan({ freezables, clock: systemClock, holdMs: Number(holdMs) });

/** Told at once: should this process be killed, another one has to know which is not ours. */
function telling(one: Freezable): Freezable {
  return {
    ...one,
    async freeze() {
      const end = await one.freeze();
      if (end === 'foreign') say({ foreign: one.name });
      return end;
    },
  };
}

async function leave(why: string): Promise<void> {
  await deadMan.abandon(why);
  process.exit(0);
}

/** The kernel ends it last of all when memory runs out. */
function ward(): void {
  try {
    fs.writeFileSync('/proc/self/oom_score_adj', '-1000');
  } catch {
    // Without the right to it, it is one of many.
  }
}

process.stdout.on('error', () => {});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.on(signal, () => void leave(`the process that watches was told to end (${signal})`));
ward();
const { status, error } = spawnSync(must(program), ['--version'], { stdio: 'ignore' });
if (status !== 0) throw new Error(`${program} does not run: ${error?.message ?? `status ${status}`}`);
const lines = readline.createInterface(process.stdin);
lines.on('line', (line) => {
  if (line === 'freeze') void deadMan.freeze().then((report) => say({ report }));
  if (line !== 'thaw') return;
  say({ heard: true });
  void deadMan.thaw().then((letGo) => say({ letGo }));
});
lines.on('close', () => void leave('whoever had it frozen has ended'));
say({ ready: true });
