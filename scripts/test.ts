/**
 * Runs the tests: `unit` (pure and in-process, all files in one process) or `system` (programs, mounts, kills; each file in a
 * process of its own, two at a time: they mostly wait, for deadlines and for other processes). Further arguments are
 * substrings that a file's path must contain.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import * as os from 'node:os';

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
const flags =
  kind === 'system'
    ? ['--test-concurrency=2', '--test-timeout=1200000']
    : ['--test-isolation=none', '--test-timeout=120000'];
const run = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...flags, ...chosen], {
  stdio: 'inherit',
  env: { ...process.env, NODE_COMPILE_CACHE: `${os.tmpdir()}/rokka-compile-cache` },
});
process.exit(run.status ?? 1);
