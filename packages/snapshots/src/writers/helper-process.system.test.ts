/** Who dies, and what is free then. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { HelperProcess, Refused } from './helper-process.ts';

const OPTIONS = { timeout: 300_000 };
const signal = () => AbortSignal.timeout(120_000);
const SQLITE = path.join(import.meta.dirname, 'sqlite-helper.ts');

function start(): HelperProcess {
  return HelperProcess.start({ file: SQLITE, what: 'a test' });
}

test('when the process that had it all held is killed, the locks are free', OPTIONS, async (t) => {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-helper-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  using database = new DatabaseSync(path.join(base, 'app.db'), { timeout: 100 });
  database.exec('CREATE TABLE t (n)');
  const program = `
    import { sqlite } from ${JSON.stringify(path.join(import.meta.dirname, 'sqlite.ts'))};
    const signal = AbortSignal.timeout(60_000);
    const volumes = [{ volume: 'vol-1', mountPoint: ${JSON.stringify(base)} }];
    const [writer] = await sqlite().discover({ volumes, signal });
    await writer.freeze(signal);
    process.stdout.write('held');`;
  const args = ['--no-warnings', '--input-type=module', '-e', program];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const write = () => database.exec('INSERT INTO t VALUES (1)');
  assert.throws(write, /locked/);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  for (let isFree = false; !isFree;) {
    try {
      write();
      isFree = true;
    } catch (error) {
      assert.match((error as Error).message, /locked/);
    }
  }
});

test('a refusal has the words of the child, which answers further questions', OPTIONS, async () => {
  await using helper = start();
  await assert.rejects(helper.ask('open', { paths: ['/nonexistent/app.db'] }, signal()), (error) => {
    assert.ok(error instanceof Refused);
    assert.match(error.message, /\/nonexistent\/app\.db/);
    return true;
  });
  assert.deepEqual(await helper.ask('recognise', { candidates: [] }, signal()), []);
});

test(
  'a question that is late ends the child, and so does a kill; no question is left without an answer',
  OPTIONS,
  async () => {
    await using helper = start();
    await assert.rejects(helper.ask('checkpoint', {}, AbortSignal.timeout(1)), { name: 'TimeoutError' });
    await assert.rejects(helper.ask('checkpoint', {}, signal()), (error) =>
      isCoded(error, 'SNAPSHOTS_HELPER_ENDED'),
    );

    await using other = start();
    const asked = other.ask('checkpoint', {}, signal());
    const refused = assert.rejects(asked, (error) => isCoded(error, 'SNAPSHOTS_HELPER_ENDED'));
    await other.kill();
    await refused;
  },
);

test('a child that cannot start says why', OPTIONS, async () => {
  await using helper = HelperProcess.start({ file: '/nonexistent/helper.ts', what: 'a test' });
  await assert.rejects(helper.ask('open', {}, signal()), (error) => {
    assert.ok(isCoded(error, 'SNAPSHOTS_HELPER_ENDED'));
    assert.match(error.message, /\/nonexistent\/helper\.ts/);
    return true;
  });
});
