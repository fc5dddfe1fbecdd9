/** Runs the fuzzer on a real directory of this machine. ROKKA_SEED and ROKKA_RUNS as in filesystem.fuzz.test.ts. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import { fuzzCrashes, fuzzDifferential } from './filesystem.fuzz.ts';
import { DirectoryActor } from './fuzz/directory-actor.ts';

const runs = Number(process.env['ROKKA_RUNS'] ?? 4);
const seeds = process.env['ROKKA_SEED']
  ? [Number(process.env['ROKKA_SEED'])]
  : Array.from({ length: runs }, (_, i) => 2001 + i);

for (const seed of seeds) {
  void test(`random operations equal a real directory (seed ${seed})`, { timeout: 300_000 }, () => {
    const umask = process.umask(0);
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-fuzz-'));
    using twin = new DirectoryActor(root);
    try {
      const result = fuzzDifferential({ seed, steps: 2000, portable: true, twin: () => twin, refusals: 0.1 });
      assert.ok(result.store.history.length > 300, 'the steps changed too little to prove anything');
      fuzzCrashes(result);
    } finally {
      process.umask(umask);
      fs.rmSync(root, { recursive: true, force: true });
    }
  });
}
