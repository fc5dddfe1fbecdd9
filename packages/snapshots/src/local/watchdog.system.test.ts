/** Whoever dies while file systems are frozen: they go on, and what was copied counts for nothing. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { deadline, isCoded, must, systemClock } from '@rokka/kernel';
import { CombinedProvider } from '../combined-provider.ts';
import { coordinate } from '../coordinator.ts';
import { outcomeOf } from '../outcome.ts';
import type { Provider, SnapshotSetResult } from '../provider.ts';
import { files } from '../writers/files.ts';
import type { LocalSnapshot } from './filesystems.ts';
import { demand, isFrozen, LoopBench, skipWithoutLoops } from './testing/loop-bench.ts';

const skip = skipWithoutLoops();
const timeout = 600_000;
const signal = () => AbortSignal.timeout(timeout);
/** Longer than any test: what is thawed before was not thawed by the deadline. */
const NEVER_MS = 3_600_000;
const GOES_ON_MS_MAX = 300_000;

interface Place {
  readonly bench: LoopBench;
  readonly mountPoints: readonly string[];
}

function twoFileSystems(bench: LoopBench): Place {
  const { mountPoint: directory } = bench.store();
  const made = [
    bench.make('one', { type: 'ext4', directory }),
    bench.make('two', { type: 'xfs', directory }),
  ];
  return { bench, mountPoints: made.map(({ mountPoint }) => mountPoint) };
}

/** Writes to each, and ends when the kernel has let it. */
function writers(mountPoints: readonly string[]): { done: Promise<void>; waiting: () => boolean } {
  const children = mountPoints.map((mountPoint) => {
    const script = 'echo more > "$0/written" && sync "$0/written"';
    return spawn('sh', ['-c', script, mountPoint], { stdio: 'ignore' });
  });
  const written = Promise.all(
    children.map(async (child) => {
      const [status] = (await once(child, 'exit')) as [number | null];
      assert.equal(status, 0);
    }),
  );
  // However late it is thawed, it is: but a test ends.
  const done = deadline(written, { what: 'the kernel', ms: GOES_ON_MS_MAX }).then(() => {});
  return { done, waiting: () => children.every(({ exitCode }) => exitCode === null) };
}

/** Another process holds them; its group is its own. */
async function holding(
  t: TestContext,
  { bench, mountPoints, holdMs }: Place & { holdMs: number },
): Promise<{ child: ChildProcess; watchdog: number }> {
  bench.listed(mountPoints);
  const program = path.join(import.meta.dirname, 'testing', 'hold-and-wait.ts');
  const args = ['--no-warnings', program, bench.listFile, bench.state, bench.data, String(holdMs)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { watchdog } = JSON.parse(line.toString()) as { watchdog: number };
  t.after(() => {
    for (const pid of [must(child.pid), watchdog]) if (isOurs(pid)) process.kill(pid, 'SIGKILL');
  });
  for (const mountPoint of mountPoints) assert.ok(isFrozen(mountPoint), `${mountPoint} is frozen`);
  return { child, watchdog };
}

async function killed(child: ChildProcess, pid: number): Promise<void> {
  const exit = once(child, 'exit');
  process.kill(pid, 'SIGKILL');
  await exit;
}

const isAlive = (pid: number) => fs.existsSync(`/proc/${pid}`);
/** It is still the process that this test has started. */
const isOurs = (pid: number) =>
  isAlive(pid) && /hold-and-wait|watchdog-process/.test(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await systemClock.sleep(20, signal());
}

/** Of this process. */
function watchdogPid(): number {
  const children = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(/\s+/);
  const found = children.find((pid) =>
    fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watchdog-process.ts'),
  );
  return Number(must(found));
}

test(
  'the coordinator is killed with its whole process group: all go on, by the watchdog',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const place = twoFileSystems(bench);
    const { child, watchdog } = await holding(t, { ...place, holdMs: NEVER_MS });
    const { done, waiting } = writers(place.mountPoints);
    assert.ok(waiting());
    await killed(child, -must(child.pid));
    await done;
    await gone(watchdog);
    assert.ok(fs.existsSync(path.join(bench.state, 'frozen-filesystems.json')), 'it was killed');
    assert.deepEqual(await bench.local().recover(signal()), [], 'nothing was frozen any more');
    assert.equal(fs.existsSync(path.join(bench.state, 'frozen-filesystems.json')), false);
  },
);

test('the coordinator hangs: all go on when the time is over', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const place = twoFileSystems(bench);
  const { child } = await holding(t, { ...place, holdMs: 10_000 });
  try {
    process.kill(must(child.pid), 'SIGSTOP');
    await writers(place.mountPoints).done;
  } finally {
    await killed(child, must(child.pid));
  }
});

test(
  'the watchdog is killed: the coordinator thaws, and the set counts for nothing',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const { mountPoints } = twoFileSystems(bench);
    const { provider, set } = must(await bench.listed(mountPoints, { holdMs: NEVER_MS }).open(signal()));
    await using _set = set;
    await using _provider = provider;
    await provider.hold(signal());
    await provider.snapshot(signal());
    const { done, waiting } = writers(mountPoints);
    assert.ok(mountPoints.every(isFrozen) && waiting());
    process.kill(watchdogPid(), 'SIGKILL');
    await done;
    await assert.rejects(provider.release(signal()), (error) => {
      assert.ok(isCoded(error, 'SNAPSHOTS_LOCAL_LOOSE'));
      assert.match(error.message, /the process that would thaw them has ended \(SIGKILL\)/);
      return true;
    });
  },
);

test(
  'the watchdog is told to end, as by whoever stops a service: it thaws first',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const place = twoFileSystems(bench);
    const { child, watchdog } = await holding(t, { ...place, holdMs: NEVER_MS });
    try {
      process.kill(must(child.pid), 'SIGSTOP');
      process.kill(watchdog, 'SIGTERM');
      await writers(place.mountPoints).done;
    } finally {
      await killed(child, must(child.pid));
    }
  },
);

test(
  'both are killed: whoever comes next thaws what they had frozen, and nothing else',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const place = twoFileSystems(bench);
    const foreign = bench.make('foreign', { type: 'ext4', directory: bench.root });
    const { child, watchdog } = await holding(t, { ...place, holdMs: NEVER_MS });
    // Neither sees the other one die.
    process.kill(watchdog, 'SIGSTOP');
    process.kill(must(child.pid), 'SIGSTOP');
    process.kill(watchdog, 'SIGKILL');
    await killed(child, must(child.pid));
    await gone(watchdog);
    demand('fsfreeze', '-f', foreign.mountPoint);
    assert.ok(place.mountPoints.every(isFrozen));
    const local = bench.local();
    assert.deepEqual(await local.recover(signal()), place.mountPoints);
    assert.ok(!place.mountPoints.some(isFrozen));
    assert.ok(isFrozen(foreign.mountPoint), 'somebody else has frozen it');
    assert.deepEqual(await local.recover(signal()), []);
    const { provider, set } = must(await local.open(signal()));
    await provider[Symbol.asyncDispose]();
    await set[Symbol.asyncDispose]();
  },
);

/** A whole course, in which another provider does this while everything is frozen. */
async function course({ provider, set }: LocalSnapshot, meanwhile: () => Promise<void>) {
  await using _set = set;
  await using own = provider;
  const first: Provider = {
    holds: false,
    hold: async () => {},
    async snapshot(): Promise<SnapshotSetResult> {
      await meanwhile();
      return { id: 'set-1', snapshots: [] };
    },
    release: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const { volumes } = provider;
  const tiers = [[...(await files.discover({ volumes, signal: signal() }))]];
  const done = await coordinate({ tiers, provider: new CombinedProvider(first, [own]), clock: systemClock });
  return outcomeOf(done, { strays: [], withoutWriters: false });
}

test('a set is consistent only where all were frozen until all was copied', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const { mountPoints } = twoFileSystems(bench);
  const open = async (holdMs?: number) =>
    must(await bench.listed(mountPoints, holdMs === undefined ? {} : { holdMs }).open(signal()));
  const thaws = () => writers(mountPoints).done;
  const well = await course(await open(), async () => assert.ok(mountPoints.every(isFrozen)));
  assert.deepEqual([well.level, well.set?.also?.length, well.reasons], ['application', 1, []]);

  const late = await course(await open(3_000), thaws);
  assert.equal(late.level, 'crash');
  assert.match(must(late.reasons[0]), /^provider at release: SNAPSHOTS_LOCAL_LOOSE: .* 3000 ms were over/);

  const loose = await course(await open(), async () => void demand('fsfreeze', '-u', must(mountPoints[1])));
  assert.equal(loose.level, 'crash');
  assert.match(must(loose.reasons[0]), /one of them was not frozen any more/);

  // What is seen at its place meanwhile is another file system.
  const hidden = await course(await open(), async () => void bench.bind('/dev/shm', 'one'));
  assert.deepEqual([hidden.level, hidden.reasons], ['application', []]);
});

test('one that somebody else has frozen is a veto, and stays as it is', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const { mountPoints } = twoFileSystems(bench);
  const [own, other] = [must(mountPoints[0]), must(mountPoints[1])];
  const local = await bench.listed(mountPoints).open(signal());
  // The writer would wait for it, so that it comes only after it.
  const { provider, set } = must(local);
  await using _set = set;
  {
    await using _provider = provider;
    demand('fsfreeze', '-f', other);
    await assert.rejects(provider.hold(signal()), (error) => {
      assert.ok(isCoded(error, 'SNAPSHOTS_LOCAL_FOREIGN'));
      assert.match(error.message, new RegExp(`^${other} was frozen by somebody else`));
      return true;
    });
    const journal = fs.readFileSync(path.join(bench.state, 'frozen-filesystems.json'), 'utf8');
    const { mounts } = JSON.parse(journal) as { mounts: { mountPoint: string }[] };
    assert.deepEqual(
      mounts.map(({ mountPoint }) => mountPoint),
      [own],
      'whoever comes after a kill leaves the other one',
    );
    await assert.rejects(provider.release(signal()), { code: 'SNAPSHOTS_LOCAL_LOOSE' });
    assert.deepEqual([isFrozen(own), isFrozen(other)], [false, true]);
  }
  assert.deepEqual([isFrozen(own), isFrozen(other)], [false, true]);
  assert.deepEqual(await bench.local().recover(signal()), []);
  assert.ok(isFrozen(other));
});
