/** Programs that write on a volume: found, named, and passed over where a writer speaks for them. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { straysOn } from './strays.ts';

const timeout = 300_000;

/** A program that has the file open, as `how` of open(2) says, when this resolves. */
async function opened(file: string, how: 'r' | 'a'): Promise<ChildProcess> {
  const script = `require('fs').openSync(process.argv[1], '${how}'); console.log('open'); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

test('who has a file open for writing is named, unless somebody speaks for it', { timeout }, async (t) => {
  const mountPoint = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-strays-'));
  const file = path.join(mountPoint, 'data', 'journal');
  fs.mkdirSync(path.dirname(file));
  fs.writeFileSync(file, '');
  const children = [await opened(file, 'a'), await opened(file, 'r')];
  t.after(async () => {
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ended);
    fs.rmSync(mountPoint, { recursive: true });
  });
  const find = (...paths: string[]) =>
    straysOn({
      volumes: [{ volume: 'vol-1', mountPoint }],
      components: [{ name: 'an application', paths }],
      signal: AbortSignal.timeout(timeout),
    });
  const [writer] = children;
  const own = (found: readonly string[]) => found.filter((stray) => stray.includes(mountPoint));
  assert.deepEqual(own(await find()).length, 1);
  assert.match(own(await find())[0] ?? '', new RegExp(`\\(pid ${writer?.pid}\\), which writes ${file}$`));
  assert.deepEqual(own(await find(path.join(mountPoint, 'other'))).length, 1);
  assert.deepEqual(own(await find(path.dirname(file))), []);
  assert.deepEqual(own(await find(file)), []);
});
