/** `rokka simulate` as a person runs it: a range, a seed with its trace, a failing schedule kept and replayed, wrong arguments. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { withMutants } from '@rokka/kernel';
import { parseArguments } from './arguments.ts';
import { simulate as simulateHere } from './commands/simulate.ts';
import { Terminal } from './terminal.ts';

const MAIN = new URL('entry.mjs', import.meta.url).pathname;

function simulate(...args: string[]) {
  const run = spawnSync(process.execPath, [MAIN, 'simulate', ...args], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

test('a range of seeds: a summary, and exit status 0', () => {
  const { status, out } = simulate('--from', '3', '--seeds', '4', '--check-determinism');
  assert.equal(status, 0, out);
  for (const line of [
    /^histories +4, 4 of them/m,
    /^events +\d+, of \d+ records/m,
    /^faults .*open \d+/m,
    /^time +\d+ s of virtual time in [\d.]+ s, [\d.]+ s of the processor's, \d+ times real time$/m,
    /^pauses +\d+ histories last, \d+ times; the others \d+ times real time$/m,
  ])
    assert.match(out, line);
});

test('one seed: the same trace each time', () => {
  const [first, second] = [1, 2].map(() => simulate('--seed', '2', '--trace').out);
  assert.equal(first, second);
  assert.match(first ?? '', /^ +5\.00 w1 +opening$/m);
  assert.match(first ?? '', /nothing broke\n$/);
});

test('a kept schedule is replayed; what is none is refused', () => {
  using scratch = fs.mkdtempDisposableSync(path.join(os.tmpdir(), 'rokka-simulate-'));
  const kept = new URL('../../../packages/simulator/regressions/page-file-names.json', import.meta.url)
    .pathname;
  assert.match(simulate('--replay', kept).out, /nothing broke/);
  const other = path.join(scratch.path, 'other.json');
  fs.writeFileSync(other, '{}');
  for (const file of [other, path.join(scratch.path, 'none.json')]) {
    const { status, err } = simulate('--replay', file);
    assert.equal(status, 2);
    assert.match(err, /^rokka: ROKKA_BAD_VALUE: --replay /);
  }
});

test('a trace is of one seed', () => {
  const { status, err } = simulate('--trace');
  assert.equal(status, 2);
  assert.match(err, /ROKKA_BAD_FLAG: --trace and --shrink go with --seed or --replay/);
});

const BUG = 'vcl-max-pgcl';

/** The same in this process, where a deliberate bug can be switched on. */
async function simulateBroken(...args: string[]) {
  const out = new PassThrough();
  const options = { mutants: [BUG], terminal: new Terminal(out) };
  const arguments_ = parseArguments(['simulate', ...args]);
  const status = await withMutants([BUG], () => simulateHere(arguments_, options));
  return { status, out: String(out.read() ?? '') };
}

test('a seed that breaks an invariant: status 1, and what --shrink leaves breaks it again', async () => {
  using scratch = fs.mkdtempDisposableSync(path.join(os.tmpdir(), 'rokka-simulate-'));
  const file = path.join(scratch.path, 'smallest.json');
  const first = await simulateBroken('--seed', '1', '--shrink', file);
  assert.equal(first.status, 1);
  assert.match(first.out, /^rokka: it broke I6: /m);
  const [, left, all] = /(\d+) of (\d+) steps are left/.exec(first.out) ?? [];
  assert.ok(Number(left) < Number(all), first.out);
  const again = await simulateBroken('--replay', file);
  assert.equal(again.status, 1);
  assert.match(again.out, /^rokka: it broke I6: /m);
  // Without the bug it is a schedule like any other.
  assert.equal(simulate('--replay', file).status, 0);
});

test('a range in which a seed breaks an invariant: status 1, and how to see that seed', async () => {
  const { status, out } = await simulateBroken('--from', '1', '--seeds', '8');
  assert.equal(status, 1);
  const [, seed] = /^rokka: seed (\d+) broke I6: /m.exec(out) ?? [];
  assert.ok(seed, out);
  assert.ok(out.includes(`rokka simulate --seed ${seed} --trace`), out);
});
