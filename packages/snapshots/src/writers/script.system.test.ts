/** Scripts write down what they do; who kills whom, and what has run in the end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@rokka/kernel';
import type { Writer } from '../writer.ts';
import { recoverScripts, script } from './script.ts';

const signal = () => AbortSignal.timeout(120_000);
const OPTIONS = { timeout: 300_000 };
const SCRIPT_MS = 60_000;
/** One that is late, and what comes too late of it: twice as long. */
const LATE_MS = 3_000;
const GONE_MS = 60_000;

class Place {
  readonly base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-script-'));
  readonly options: { directory: string; stateDirectory: string; scriptMs: number };

  constructor(t: TestContext, scripts: Readonly<Record<string, string>>, scriptMs = SCRIPT_MS) {
    this.options = {
      directory: path.join(this.base, 'hooks'),
      stateDirectory: path.join(this.base, 'state'),
      scriptMs,
    };
    t.after(() => fs.rmSync(this.base, { recursive: true, force: true }));
    fs.mkdirSync(this.options.directory);
    for (const [name, text] of Object.entries(scripts)) {
      const log = `export LOG=${this.base}/log\necho "$(basename $0)\${ROKKA_SNAPSHOT_OUTCOME:+ $ROKKA_SNAPSHOT_OUTCOME}" >> $LOG`;
      const file = path.join(this.options.directory, name);
      fs.writeFileSync(file, `#!/bin/sh\n${log}\n${text}\n`, { mode: 0o755 });
    }
  }

  async writer(): Promise<Writer> {
    const volumes = [{ volume: 'vol-1', mountPoint: '/srv' }];
    const [writer] = await script(this.options).discover({ volumes, signal: signal() });
    return writer;
  }

  get log(): string[] {
    const file = path.join(this.base, 'log');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  get isJournalled(): boolean {
    return fs.readdirSync(this.options.stateDirectory).length > 0;
  }
}

test('all run, in their order, with what they need to know', OPTIONS, async (t) => {
  const place = new Place(t, {
    'pre-1': `test "$ROKKA_SNAPSHOT_VOLUMES$ROKKA_SNAPSHOT_PHASE" = vol-1pre`,
    'pre-2.sh': `test "$ROKKA_SNAPSHOT_MOUNT_POINTS" = /srv`,
    'post-1': 'test "$ROKKA_SNAPSHOT_PHASE" = post',
    'pre-3~': 'exit 1',
  });
  await using writer = await place.writer();
  await writer.prepare(signal());
  assert.deepEqual(await writer.freeze(signal()), { level: 'application' });
  assert.equal(place.isJournalled, true);
  await writer.thaw(signal());
  assert.equal(place.isJournalled, false);
  assert.deepEqual(place.log, ['pre-1', 'pre-2.sh', 'post-1 thaw']);
});

test(
  'a pre script that fails is a veto with its words, and all post scripts run once',
  OPTIONS,
  async (t) => {
    const place = new Place(t, {
      'pre-1': 'echo no lock today >&2; exit 3',
      'pre-2': '',
      'post-1': 'exit 1',
      'post-2': '',
    });
    {
      await using writer = await place.writer();
      await assert.rejects(writer.freeze(signal()), (error) => {
        assert.ok(isCoded(error, 'SNAPSHOTS_VETO'));
        assert.match(error.message, /pre-1 ended with status 3; it said: no lock today/);
        return true;
      });
      await assert.rejects(writer.abort(signal()), (error) => isCoded(error, 'SNAPSHOTS_SCRIPT_FAILED'));
    }
    assert.deepEqual(place.log, ['pre-1', 'post-1 abort', 'post-2 abort']);
  },
);

test(
  'a pre script that is late is killed with its children, and the post scripts run',
  OPTIONS,
  async (t) => {
    const late = `(sleep ${(2 * LATE_MS) / 1_000}; echo late >> $LOG) & sleep 600`;
    const place = new Place(t, { 'pre-1': late, 'post-1': '' }, LATE_MS);
    {
      await using writer = await place.writer();
      await assert.rejects(writer.freeze(signal()), /did not end in time/);
      // Nobody says abort: whoever has the writer disposes of it.
    }
    await sleep(2 * LATE_MS);
    assert.deepEqual(place.log, ['pre-1', 'post-1 abort']);
  },
);

test('a thaw that is not waited for runs all of its scripts none the less', OPTIONS, async (t) => {
  const place = new Place(t, { 'pre-1': '', 'post-1': 'sleep 0.5', 'post-2': '' });
  {
    await using writer = await place.writer();
    await writer.freeze(signal());
    await assert.rejects(writer.thaw(AbortSignal.timeout(100)), { name: 'TimeoutError' });
  }
  assert.deepEqual(place.log, ['pre-1', 'post-1 thaw', 'post-2 thaw']);
});

test('a process that is killed between pre and post is undone by whoever comes after', OPTIONS, async (t) => {
  const place = new Place(t, {
    'pre-1': '',
    'pre-2': `sleep 200`,
    'post-1': '',
  });
  const program = `
    import { script } from ${JSON.stringify(path.join(import.meta.dirname, 'script.ts'))};
    const options = { ...${JSON.stringify(place.options)}, scriptMs: 60_000 };
    const volumes = [{ volume: 'vol-1', mountPoint: '/srv' }];
    const signal = AbortSignal.timeout(60_000);
    const [writer] = await script(options).discover({ volumes, signal });
    await writer.freeze(signal);`;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
    stdio: 'inherit',
  });
  const ended = once(child, 'exit');
  while (!place.log.includes('pre-2')) await sleep(20);
  child.kill('SIGKILL');
  await ended;
  assert.equal(await recoverScripts(place.options, signal()), true);
  assert.equal(await recoverScripts(place.options, signal()), false, 'once');
  assert.deepEqual(place.log, ['pre-1', 'pre-2', 'post-1 recover']);
  // Who is killed is seen until the kernel has ended it.
  for (let waitedMs = 0; waitedMs < GONE_MS && running(place.options.directory).length > 0; waitedMs += 20)
    await sleep(20);
  assert.deepEqual(running(place.options.directory), [], 'what was left of the attempt is ended');
});

test('a script that others may write is not run', OPTIONS, async (t) => {
  const place = new Place(t, { 'pre-1': '' });
  fs.chmodSync(path.join(place.options.directory, 'pre-1'), 0o777);
  await using writer = await place.writer();
  await assert.rejects(writer.prepare(signal()), (error) => isCoded(error, 'SNAPSHOTS_SCRIPT_UNSAFE'));
});

test('a journal that says nothing is for people to look at', OPTIONS, async (t) => {
  const place = new Place(t, { 'pre-1': '' });
  fs.mkdirSync(place.options.stateDirectory);
  fs.writeFileSync(path.join(place.options.stateDirectory, 'snapshot-scripts.json'), '{"id":');
  await using writer = await place.writer();
  await assert.rejects(writer.prepare(signal()), (error) => isCoded(error, 'SNAPSHOTS_JOURNAL_GARBAGE'));
});

test('no scripts, no writer', OPTIONS, async (t) => {
  const place = new Place(t, { 'other-1': '' });
  assert.equal(await place.writer(), undefined);
});

/** Processes that run something from there. */
function running(directory: string): string[] {
  return fs
    .readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((command) => command.includes(directory) && !command.includes('import'));
}
