/** Scripts of the machine's owner that stop and start what nobody else knows. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { stopScripts } from './scripts.ts';

const LIMITS = { timeout: 300_000 };
/** No other program of the machine sleeps for so long. */
const SLEEP = `sleep 120.${process.pid}`;
const OF = {
  volumes: [{ volume: 'vol-1', mountPoint: '/v' }],
  writing: [],
  signal: AbortSignal.timeout(600_000),
};

class Scripts implements Disposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-scripts-'));

  write(name: string, text: string, mode = 0o755): void {
    const file = path.join(this.directory, name);
    fs.writeFileSync(
      file,
      `#!/bin/sh\necho ${name} $ROKKA_RESTORE_PHASE >>${this.directory}/said\n${text}\n`,
    );
    fs.chmodSync(file, mode);
  }

  get said(): string[] {
    const file = path.join(this.directory, 'said');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  find() {
    return this.kind().find(OF);
  }

  kind(scriptMs = 60_000) {
    return stopScripts({ directory: this.directory, scriptMs });
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

test('they run in order, and all start, also by the next process and where one fails', LIMITS, async () => {
  using scripts = new Scripts();
  for (const name of ['stop-b', 'stop-a.sh', 'start-b']) scripts.write(name, '');
  scripts.write('start-a', 'test "$ROKKA_RESTORE_MOUNT_POINTS" = /elsewhere');
  fs.writeFileSync(path.join(scripts.directory, 'speaks-for'), '/v/app\n');
  const [app] = (await scripts.find()).applications;
  assert.deepEqual(app.paths, ['/v/app']);
  await app.stop(OF.signal);
  const next = scripts.kind().from(JSON.parse(JSON.stringify(app.note)));
  await assert.rejects(next.start(OF.signal), /start-a ended with status 1/);
  assert.deepEqual(scripts.said, ['stop-a.sh stop', 'stop-b stop', 'start-a start', 'start-b start']);
});

test(
  'one that stops and does not start, or that others may write, is refused before any runs',
  LIMITS,
  async () => {
    using alone = new Scripts();
    alone.write('stop-a', '');
    await assert.rejects(alone.find(), /stop-a has no start-a beside it/);
    using unsafe = new Scripts();
    unsafe.write('stop-a', '');
    unsafe.write('start-a', '', 0o777);
    await assert.rejects(unsafe.find(), /SNAPSHOTS_SCRIPT_UNSAFE|others may write it/);
    assert.deepEqual([alone.said, unsafe.said], [[], []]);
    using none = new Scripts();
    none.write('pre-a', '');
    assert.deepEqual((await none.find()).applications, []);
  },
);

test('what is left of a stop is ended before the starts', LIMITS, async () => {
  using scripts = new Scripts();
  scripts.write('stop-a', `${SLEEP}; echo late >>$0.late`);
  // Who is killed is seen until the kernel has ended it.
  const isGone = `pgrep -f "${SLEEP}" >/dev/null || exit 0; sleep 0.1`;
  scripts.write('start-a', `for i in $(seq 300); do ${isGone}; done; exit 3`);
  const [app] = (await scripts.find()).applications;
  const stopping = app.stop(OF.signal).catch((error: Error) => error);
  while (scripts.said.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const next = scripts.kind().from(app.note);
  await next.start(OF.signal);
  assert.match(String(await stopping), /was ended by SIGKILL/);
  assert.deepEqual(scripts.said, ['stop-a stop', 'start-a start']);
});

test('an application that runs again is not ended where it is started once more', LIMITS, async () => {
  using scripts = new Scripts();
  scripts.write('stop-a', '');
  const at = path.join(scripts.directory, 'pid');
  scripts.write('start-a', `test -e ${at} || { setsid sleep 200 >/dev/null 2>&1 & echo $! >${at}; }`);
  const [app] = (await scripts.find()).applications;
  await app.stop(OF.signal);
  await app.start(OF.signal);
  const pid = Number(fs.readFileSync(at, 'utf8'));
  await app.start(OF.signal);
  // Whoever was killed may be seen for a moment still, but takes no signal as one that runs.
  const stat = fs.existsSync(`/proc/${pid}/stat`) ? fs.readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  assert.match(stat, /^\d+ \([\w-]+\) [SRD]/);
  process.kill(pid, 'SIGKILL');
});
