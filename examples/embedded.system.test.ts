/** The example runs, keeps its data over a second run, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const EXAMPLE = path.resolve(import.meta.dirname, 'embedded.ts');

test(
  'the embedded example keeps what it was told, and ends without a trace',
  { timeout: 600_000 },
  async () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'rokka-example-'));
    try {
      for (const row of [1, 2]) {
        const { stdout } = await run(process.execPath, [EXAMPLE, directory], { timeout: 240_000 });
        assert.match(stdout, new RegExp(`row ${row} lies on four of six copies`));
        assert.match(stdout, /durable up to LSN \d+, on 6 nodes/);
      }
      const left = readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .filter((name) => commandLine(name).includes(directory));
      assert.deepEqual(left, []);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It ended while we looked.
  }
}
