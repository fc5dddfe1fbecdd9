/** Several processes on one registry. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { openSqliteRegistry } from './sqlite-registry.ts';

const PROCESSES = 4;
const INCREMENTS = 100;

/** Adds 1 to `counter` so many times, or for ever; says each sum once it is durable. */
const PROGRAM = `
  import { isCoded, systemClock } from '@rokka/kernel';
  import { openSqliteRegistry } from ${JSON.stringify(path.join(import.meta.dirname, 'sqlite-registry.ts'))};
  const [file, times] = process.argv.slice(1);
  await using registry = await openSqliteRegistry({ path: file, clock: systemClock, busyTimeoutMs: 300_000 });
  for (let done = 0; done < Number(times);) {
    const found = await registry.get('counter');
    const next = (found?.value ?? 0) + 1;
    try {
      await registry.put('counter', next, found?.revision ?? 0);
      process.stdout.write(next + '\\n');
      done++;
    } catch (error) {
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
    }
  }
`;

function increment(file: string, times: number) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, file, String(times)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  return {
    child,
    said,
    sums: () => said.out.split('\n').slice(0, -1).map(Number),
    closed: once(child, 'close'),
  };
}

test('processes that race to add lose nothing, and say nothing on stderr', { timeout: 600_000 }, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-registry-'));
  const file = path.join(directory, 'registry.db');
  const workers = Array.from({ length: PROCESSES }, () => increment(file, INCREMENTS));
  try {
    for (const { closed } of workers) await closed;
    const sums: number[] = [];
    for (const worker of workers) {
      assert.equal(worker.said.err, '');
      assert.equal(worker.sums().length, INCREMENTS);
      sums.push(...worker.sums());
    }
    // Each sum was reached once, by one of them.
    const expected = Array.from({ length: PROCESSES * INCREMENTS }, (_, i) => i + 1);
    assert.deepEqual(
      sums.sort((a, b) => a - b),
      expected,
    );
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true });
  }
});

test('a process that is killed loses nothing that it was told is durable', { timeout: 600_000 }, async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-registry-'));
  const file = path.join(directory, 'registry.db');
  try {
    let last = 0;
    for (let round = 0; round < 5; round++) {
      const worker = increment(file, 1_000_000);
      while (worker.sums().length < 20 + round * 7)
        await Promise.race([once(worker.child.stdout, 'data'), worker.closed]);
      worker.child.kill('SIGKILL');
      await worker.closed;
      const told = worker.sums().at(-1) ?? 0;
      assert.ok(told > last, worker.said.err);
      await using registry = await openSqliteRegistry({ path: file, clock: systemClock });
      last = (await registry.get<number>('counter'))?.value ?? 0;
      // At most the one whose telling the kill cut off.
      assert.ok(last === told || last === told + 1, `${told} was told, ${last} is there`);
    }
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
