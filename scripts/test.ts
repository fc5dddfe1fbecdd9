/**
 * Runs the tests: `unit` (pure and in-process, half of the files in one process and half in another) or `system` (programs, mounts,
 * kills; each file in a process of its own, two at a time unless ROKKA_TEST_CONCURRENCY says otherwise: they mostly wait, for deadlines and for other processes). Further
 * arguments are substrings that a file's path must contain.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

const [kind = 'unit', ...filters] = process.argv.slice(2);
const all = globSync([
  'packages/*/src/**/*.test.ts',
  'apps/*/src/**/*.test.ts',
  'examples/**/*.test.ts',
]).sort();
const chosen = all.filter(
  (file) =>
    file.endsWith('.system.test.ts') === (kind === 'system') && filters.every((part) => file.includes(part)),
);
if (chosen.length === 0) {
  console.error(`no ${kind} test matches ${filters.join(' ')}`);
  process.exit(1);
}
const atOnce = process.env['ROKKA_TEST_CONCURRENCY'] ?? '2';
const runs =
  kind === 'system'
    ? [[`--test-concurrency=${atOnce}`, '--test-timeout=1200000', ...reporter('./slowest.ts'), ...chosen]]
    : halves(chosen).map((files) => ['--test-isolation=none', '--test-timeout=120000', ...files]);
const ends = await Promise.all(runs.map(run));
process.exit(Math.max(...ends));

function reporter(file: string): string[] {
  const own = path.join(import.meta.dirname, file);
  return [`--test-reporter=${own}`, '--test-reporter-destination=stderr'];
}

/** Every other file, so that neighbours, which are alike, are shared. */
function halves(files: readonly string[]): string[][] {
  const parts = [0, 1].map((half) => files.filter((_, at) => at % 2 === half));
  return parts.filter((part) => part.length > 0);
}

/** The exit status. */
async function run(args: readonly string[]): Promise<number> {
  const common = ['--test', '--test-reporter=spec', '--test-reporter-destination=stdout'];
  const child = spawn(process.execPath, [...common, ...args], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: `${os.tmpdir()}/rokka-compile-cache` },
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  return status ?? 1;
}
