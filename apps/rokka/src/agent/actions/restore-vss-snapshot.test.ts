/** Both ways to restore: what they do, and that they leave all or nothing, wherever a call fails or the agent dies. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import '@aws-sdk/client-ec2';
import { CodedError, VirtualClock } from '@rokka/kernel';
import type { Delivery } from '@rokka/services';
import {
  type MountedVolume,
  Standstill,
  STOP_MS_MAX,
  type Verdict,
  type VerifyOptions,
} from '@rokka/snapshots';
import type { ActionInput, ActionResult } from '../action.ts';
import { type Behaviours, FakeApplication, FakeNotes } from '../testing/fake-application.ts';
import { type Fault, FakeEc2, INSTANCE } from '../testing/fake-ec2.ts';
import { type RestoreAction, restoreVssSnapshot } from './restore-vss-snapshot.ts';

const BEFORE = { '/dev/sdf': 'vol-f attached', '/dev/sdg': 'vol-g attached' };
const REPLACED = {
  '/dev/sdf': 'snap-f attached',
  '/dev/sdg': 'snap-g attached',
  'vol-f': 'available',
  'vol-g': 'available',
};
const FAULTS: readonly Fault[] = ['refuse', 'lose', 'die', 'dieAfter'];
const SOON_MS = 60_000;
const TURNS_MAX = 100_000;

const clean = async ({ mountPoints }: VerifyOptions): Promise<Verdict[]> =>
  mountPoints.map((what) => ({ what, isClean: true, words: 'well' }));

class Bench {
  readonly ec2 = new FakeEc2();
  readonly clock = new VirtualClock();
  readonly cancel = new AbortController();
  readonly said: string[] = [];
  /** Of what verifiers were shown. */
  shown: Record<string, string> = {};
  verify: (options: VerifyOptions) => Promise<readonly Verdict[]> = clean;
  /** How often somebody is asked before programs write on volumes. */
  writesFrom = Infinity;
  readonly #mode: string;
  /** Beside Mode. */
  asked: Readonly<Record<string, string>> = { SnapshotSetId: 'set-1' };
  readonly notes = new FakeNotes();
  /** One on each volume. */
  applications: readonly FakeApplication[] = [];
  #action!: RestoreAction;

  constructor(mode: 'Test' | 'Replace') {
    this.#mode = mode;
    for (const letter of ['f', 'g']) {
      const device = `/dev/sd${letter}`;
      this.ec2.put(`vol-${letter}`, device);
      const Tags = [
        { Key: 'Device', Value: device },
        { Key: 'AwsVssConfig', Value: '{"set":"set-1","size":2,"level":"filesystem"}' },
      ];
      this.ec2.snapshots.push({
        SnapshotId: `snap-${letter}`,
        VolumeId: `vol-${letter}`,
        State: 'completed',
        Tags,
      });
    }
    this.beginAnew();
  }

  /** An agent begins, with nothing but what is on the disk. */
  beginAnew(): void {
    const { clock, ec2 } = this;
    const { ending } = ec2;
    const kill = () => ec2.killAgent();
    const writing = (volumes: readonly MountedVolume[]) =>
      this.writesFrom-- <= 0 ? volumes.map(({ mountPoint }) => `cat, which writes ${mountPoint}/a`) : [];
    this.#action = restoreVssSnapshot({
      clock,
      verifiers: [
        {
          name: 'own',
          verify: (options) => {
            this.shown = this.ec2.stand;
            return this.verify(options);
          },
        },
      ],
      ec2For: async () => ec2.client(),
      mountPointOf: (volume) => ec2.mountPointOf(volume),
      writing: async (volumes) => writing(volumes),
      standstill: new Standstill({
        kinds: this.applications.map((each) => each.kind(ending)),
        writers: this.applications.map((each) => each.writerKind()),
        notes: this.notes.of(ending, kill),
        strays: async ({ volumes }) => writing(volumes).map((words, pid) => ({ pid, words })),
        clock,
      }),
    });
  }

  /** That use the volumes at /dev/sdf and /dev/sdg. */
  addApplications(...behaviours: Behaviours[]): void {
    this.applications = ['sdf', 'sdg'].map((name, at) => {
      const look = () => {
        const [, id] = [...this.ec2.volumes].flatMap(([volume, { snapshot, attachment }]) =>
          attachment?.device === `/dev/${name}` && attachment.state === 'attached'
            ? ['', snapshot ?? volume]
            : [],
        );
        return id;
      };
      const kill = () => this.ec2.killAgent();
      return new FakeApplication(name, { look, kill, behaviours: behaviours[at] ?? {} });
    });
    this.beginAnew();
  }

  /** Each runs, on what is in place, and nobody has anything left to start. */
  demandAllRun(where: string): void {
    for (const { name, runsOn } of this.applications)
      assert.equal(`${runsOn} attached`, this.stand[`/dev/${name}`], `${name}, ${where}`);
    assert.equal(this.notes.stopped, undefined, where);
  }

  /** As the agent does it every minute. */
  startLeftOver(): Promise<readonly string[]> {
    const { signal } = new AbortController();
    return this.#driven(this.#action.startLeftOver(async () => false, signal));
  }

  /** The boot volume is in the set as well; or it alone. */
  addBoot(of: { alone?: boolean } = {}): void {
    const { snapshots } = this.ec2;
    if (of.alone) snapshots.length = 0;
    snapshots.push({ SnapshotId: 'snap-boot', VolumeId: 'vol-boot', State: 'completed', Tags: [] });
    const config = JSON.stringify({ set: 'set-1', size: snapshots.length, level: 'application' });
    for (const snapshot of snapshots) {
      const device = snapshot.Tags?.find(({ Key }) => Key === 'Device')?.Value ?? '/dev/xvda';
      snapshot.Tags = [
        { Key: 'Device', Value: device },
        { Key: 'AwsVssConfig', Value: config },
      ];
    }
  }

  get input(): ActionInput {
    const { ending } = this.ec2;
    const delivery = { command: 'c-1', instance: INSTANCE, scope: { account: '1', region: 'us-east-1' } };
    return {
      delivery: delivery as Delivery,
      inputs: { ...this.asked, Mode: this.#mode, timeoutSeconds: '3600' },
      signal: AbortSignal.any([ending, this.cancel.signal]),
      ending,
      say: (line) => this.said.push(line),
    };
  }

  run(): Promise<ActionResult> {
    return this.#driven(this.#action.run(this.input));
  }

  recover(): Promise<string> {
    return this.#driven(this.#action.recover(this.input));
  }

  /** As the agent does it: once more where it is cut short, as long as somebody is there. */
  async runAndRecover(): Promise<ActionResult | string> {
    const result = await this.run();
    if (!this.ec2.ending.aborted) return result;
    this.ec2.newAgent();
    this.beginAnew();
    return this.recover();
  }

  /** Looked at by nobody for a while. */
  get stand(): Record<string, string> {
    return this.ec2.stand;
  }

  async #driven<T>(work: Promise<T>): Promise<T> {
    const over = work.then(
      () => true,
      () => true,
    );
    for (let turns = 0; !(await Promise.race([over, turn(false)])); turns++) {
      assert.ok(turns < TURNS_MAX, 'it ends');
      if (this.clock.pending > 0) this.clock.runNext(Number.MAX_SAFE_INTEGER);
    }
    return work;
  }
}

/** A run with a fault at each call, until there are no more calls. @returns how many there were */
async function atEveryCall(
  mode: 'Test' | 'Replace',
  check: (bench: Bench, result: ActionResult | string, where: string) => void,
): Promise<number> {
  for (let at = 0; ; at++)
    for (const fault of FAULTS) {
      const bench = new Bench(mode);
      bench.ec2.newAgent({ [at]: fault });
      bench.addApplications();
      const result = await bench.runAndRecover();
      check(bench, result, `${fault} at call ${at}: ${bench.said.join('')}${JSON.stringify(result)}`);
      if (bench.ec2.calls <= at && !bench.ec2.ending.aborted && typeof result !== 'string') return at;
    }
}

test('a set is tried out beside the volumes in use, and nothing of it stays', async () => {
  const bench = new Bench('Test');
  assert.deepEqual(await bench.run(), { succeeded: true, responseCode: 0, stderr: '' });
  assert.deepEqual(bench.shown, {
    ...BEFORE,
    '/dev/sdh': 'snap-f attached',
    '/dev/sdi': 'snap-g attached',
  });
  assert.deepEqual(bench.stand, BEFORE);
  const said = bench.said.join('');
  assert.match(said, /set-1, level filesystem, 2 snapshots/);
  assert.match(said, /own: \/mnt\/dev\/sdh: clean: well\n.*sdi: clean.*\nEverything starts clean\./);
});

test('it is a success only where every verifier says so', async () => {
  const verifiers: [Bench['verify'], RegExp][] = [
    [async () => [{ what: 'x', isClean: false, words: 'torn' }], /own says of x: torn/],
    [() => Promise.reject(new CodedError('NO_PROGRAM', 'install it')), /NO_PROGRAM: install it/],
  ];
  for (const [verify, why] of verifiers) {
    const bench = new Bench('Test');
    bench.verify = verify;
    const { succeeded, stderr } = await bench.run();
    assert.equal(succeeded, false);
    assert.match(stderr, why);
    assert.deepEqual(bench.stand, BEFORE);
  }
});

test('a verifier that breaks, never ends or is cancelled leaves nothing behind', async () => {
  const broken = new Bench('Test');
  broken.verify = () => Promise.reject(new TypeError('ours'));
  await assert.rejects(broken.run(), TypeError);
  const endless = new Bench('Test');
  endless.verify = () => new Promise(() => {});
  assert.match((await endless.run()).stderr, /KERNEL_DEADLINE/);
  const cancelled = new Bench('Test');
  cancelled.verify = async (options) => {
    cancelled.cancel.abort(new Error('it was cancelled'));
    return clean(options);
  };
  assert.match((await cancelled.run()).stderr, /it was cancelled/);
  for (const { stand } of [broken, endless, cancelled]) assert.deepEqual(stand, BEFORE);
});

test('the newest set of the instance is found and named, and one that is too old fails', async () => {
  const DAY_MS = 24 * 3_600_000;
  const made = () => {
    const bench = new Bench('Test');
    bench.asked = { SnapshotSetId: 'latest', MaxAgeHours: '26' };
    for (const snapshot of bench.ec2.snapshots) {
      snapshot.StartTime = new Date(bench.clock.wallMs() - DAY_MS);
      snapshot.Tags?.push({ Key: 'AppConsistent', Value: 'True' });
    }
    return bench;
  };
  const bench = made();
  assert.equal((await bench.run()).succeeded, true);
  assert.match(bench.said.join(''), /^The newest set of this instance.*\nSnapshot set set-1, /);
  assert.deepEqual(bench.stand, BEFORE);

  const late = made();
  late.clock.advanceTo(late.clock.nowMs() + DAY_MS);
  const { succeeded, stderr } = await late.run();
  assert.equal(succeeded, false);
  assert.match(stderr, /ROKKA_RESTORE_REFUSED.*set-1.*48\.0 hours ago, and MaxAgeHours is 26/);
  assert.deepEqual(late.ec2.changes, []);

  const replacing = new Bench('Replace');
  replacing.asked = { SnapshotSetId: 'latest' };
  assert.match((await replacing.run()).stderr, /Mode=Test alone/);
  assert.deepEqual([replacing.ec2.changes, replacing.stand], [[], BEFORE]);
});

test('a device of another account is passed over', async () => {
  const bench = new Bench('Test');
  bench.ec2.taken.add('/dev/sdh').add('/dev/sdj');
  assert.equal((await bench.run()).succeeded, true);
  assert.deepEqual(Object.keys(bench.shown).sort(), ['/dev/sdf', '/dev/sdg', '/dev/sdi', '/dev/sdk']);
});

test('Test leaves nothing behind, whichever call fails, and wherever the agent dies', async () => {
  const calls = await atEveryCall('Test', (bench, _result, where) =>
    assert.deepEqual(bench.stand, BEFORE, where),
  );
  assert.ok(calls > 25, `${calls} calls`);
});

test('volumes are replaced, and those that were there are kept', async () => {
  const bench = new Bench('Replace');
  assert.equal((await bench.run()).succeeded, true);
  assert.deepEqual(bench.stand, REPLACED);
  for (const id of ['vol-f', 'vol-g'])
    assert.deepEqual(bench.ec2.volumes.get(id)?.tags, [{ Key: 'RokkaReplaced', Value: 'c-1' }]);
  assert.match(bench.said.join(''), /Kept, detached from \/dev\/sdf: vol-f/);
});

test('where nothing is attached any more, a volume is put all the same', async () => {
  const bench = new Bench('Replace');
  bench.ec2.volumes.delete('vol-g');
  assert.equal((await bench.run()).succeeded, true);
  const { 'vol-g': _, ...others } = REPLACED;
  assert.deepEqual(bench.stand, others);
});

test('all volumes are replaced or none, whichever call fails, and what is told is so', async () => {
  let undone = 0;
  let goneOn = 0;
  await atEveryCall('Replace', (bench, result, where) => {
    const isReplaced = bench.stand['/dev/sdf'] === REPLACED['/dev/sdf'];
    assert.deepEqual(bench.stand, isReplaced ? REPLACED : BEFORE, where);
    bench.demandAllRun(where);
    if (bench.said.some((line) => line.startsWith('As before: vol-f at /dev/sdf, vol-g'))) undone++;
    // Where it stands is seen, not waited for.
    assert.ok(bench.clock.nowMs() < SOON_MS, where);
    if (typeof result === 'string') {
      assert.equal(/had been replaced already/.test(result), isReplaced, where);
      if (isReplaced) goneOn++;
    } else
      assert.equal(
        result.succeeded || /all volumes are replaced, but/.test(result.stderr),
        isReplaced,
        where,
      );
  });
  assert.ok(undone > 10 && goneOn > 0, `${undone} and ${goneOn} times`);
});

test('an agent that dies while it takes back goes on with it', async () => {
  let died = 0;
  for (let at = 12; at < 40; at++)
    for (let diesAt = at + 1; ; diesAt++) {
      const bench = new Bench('Replace');
      bench.ec2.newAgent({ [at]: 'refuse', [diesAt]: 'dieAfter' });
      bench.addApplications();
      await bench.run().catch((error: Error) => assert.match(error.message, /the agent ends/));
      if (!bench.ec2.ending.aborted) break;
      died++;
      // And once more, while it recovers.
      bench.ec2.newAgent({ 2: 'dieAfter' });
      bench.beginAnew();
      await bench.recover().catch((error: Error) => assert.match(error.message, /the agent ends/));
      bench.ec2.newAgent();
      bench.beginAnew();
      await bench.recover();
      const isReplaced = bench.stand['/dev/sdf'] === REPLACED['/dev/sdf'];
      assert.deepEqual(bench.stand, isReplaced ? REPLACED : BEFORE, `${at}, ${diesAt}`);
      bench.demandAllRun(`${at}, ${diesAt}`);
    }
  assert.ok(died > 100, `${died} times`);
});

test('what cannot be taken back is told, with the way to find it', async () => {
  const bench = new Bench('Test');
  bench.verify = async (options) => {
    bench.ec2.denied.add('DeleteVolume');
    return clean(options);
  };
  const { succeeded, stderr } = await bench.run();
  assert.equal(succeeded, false);
  assert.match(stderr, /ROKKA_RESTORE_LEFT: .*no right to DeleteVolume.*RokkaRestore=c-1/);
});

test('nothing is replaced under programs that write, and they are named', async () => {
  const whys = [/start them again.*Stop them first/, /start them again.*Stop them first/, /open again/];
  for (const [writesFrom, why] of whys.entries()) {
    const bench = new Bench('Replace');
    bench.addApplications();
    bench.writesFrom = writesFrom;
    const { succeeded, stderr } = await bench.run();
    assert.equal(succeeded, false);
    assert.match(stderr, /ROKKA_RESTORE_REFUSED.*cat, which writes \/mnt\/dev\/sdf\/a; cat.*sdg\/a/);
    assert.match(stderr, why);
    assert.deepEqual(bench.stand, BEFORE);
    assert.equal(bench.ec2.changes.includes('DetachVolume'), writesFrom > 0, 'none but those of the trial');
    assert.equal(bench.notes.writes, writesFrom < 2 ? 0 : 2);
    bench.demandAllRun(stderr);
  }
});

test('what is not clean is not put in place, and nothing is stopped for it', async () => {
  const bench = new Bench('Replace');
  bench.addApplications();
  bench.verify = async () => [{ what: 'x', isClean: false, words: 'torn' }];
  const { succeeded, stderr } = await bench.run();
  assert.equal(succeeded, false);
  assert.match(stderr, /^nothing is stopped, and nothing replaced: .*\nown says of x: torn/);
  assert.deepEqual([bench.stand, bench.notes.writes], [BEFORE, 0]);
  bench.demandAllRun('not clean');
});

test('it is tried on volumes of its own, unless that is not wanted', async () => {
  for (const Verify of ['True', 'False']) {
    const bench = new Bench('Replace');
    bench.addApplications();
    bench.asked = { SnapshotSetId: 'set-1', Verify };
    let runs = false;
    bench.verify = async (options) => {
      runs = bench.applications.every(({ runsOn }) => runsOn?.startsWith('vol-'));
      return clean(options);
    };
    assert.deepEqual(await bench.run(), { succeeded: true, responseCode: 0, stderr: '' });
    assert.equal(runs, Verify === 'True', 'they run while it is tried');
    const made = bench.ec2.changes.filter((change) => change === 'CreateVolume').length;
    assert.equal(made, Verify === 'True' ? 4 : 2);
    assert.deepEqual(bench.stand, REPLACED);
    bench.demandAllRun(Verify);
    assert.match(bench.said.join(''), /Stopped: sdf\nStopped: sdg\n[^]*Runs again: sdg\nRuns again: sdf\n/);
  }
  const bench = new Bench('Test');
  bench.asked = { SnapshotSetId: 'set-1', Verify: 'False' };
  assert.match((await bench.run()).stderr, /Verify=False is for Mode=Replace alone/);
});

test('an application that does not stop or start as it should has the old volumes back, and runs on them', async () => {
  for (const step of ['stop', 'start'] as const)
    for (const at of [0, 1])
      for (const behaviour of ['refuse', 'hang', 'throw'] as const) {
        const where = `${behaviour} at ${step} of ${at}`;
        const bench = new Bench('Replace');
        const behaviours: Behaviours[] = [{}, {}];
        behaviours[at] = { [step]: [behaviour] };
        bench.addApplications(...behaviours);
        const result = await bench.run().catch((error: Error) => error);
        const why = result instanceof Error ? result.message : result.stderr;
        assert.match(why, /does not want|has a bug|did not (stop|start) within/, where);
        assert.deepEqual(bench.stand, BEFORE, where);
        bench.demandAllRun(where);
      }
});

test('a server that answered before and does not on the new volumes has the old ones back', async () => {
  const bench = new Bench('Replace');
  // It is asked before it is stopped, and then again and again until the time for that is over.
  bench.addApplications({ answer: ['well', ...Array.from({ length: 1_300 }, () => 'refuse' as const)] });
  const { succeeded, stderr } = await bench.run();
  assert.equal(succeeded, false);
  assert.match(stderr, /not all that was stopped runs again: sdf at \/sdf: it is not there/);
  assert.deepEqual(bench.stand, BEFORE);
  bench.demandAllRun('mute');
  assert.ok(bench.clock.nowMs() > STOP_MS_MAX);
});

test('what cannot be started stays noted down, is told, and runs once it can', async () => {
  const bench = new Bench('Replace');
  bench.addApplications({ start: ['refuse', 'refuse', 'refuse'] });
  const { succeeded, stderr } = await bench.run();
  assert.equal(succeeded, false);
  assert.match(stderr, /ROKKA_RESTORE_DOWN.*And what was stopped does not run again.*sdf.*does not want/);
  assert.deepEqual(bench.stand, BEFORE);
  assert.equal(bench.notes.stopped?.command, 'c-1');
  assert.equal(bench.applications[1]?.runsOn, 'vol-g', 'the other one runs');
  await assert.rejects(bench.startLeftOver(), /not all that was stopped runs again/);
  assert.deepEqual(await bench.startLeftOver(), ['sdg', 'sdf']);
  bench.demandAllRun('after a while');
});

test('an agent that dies at any step of standing still is followed by one that starts what it stopped', async () => {
  const faults = ['die', 'dieAfter'] as const;
  let died = 0;
  const check = async (bench: Bench, where: string) => {
    await bench.run();
    while (bench.ec2.ending.aborted) {
      died++;
      bench.ec2.newAgent();
      bench.beginAnew();
      await bench.recover().catch((error: Error) => assert.match(error.message, /the agent ends/));
    }
    const isReplaced = bench.stand['/dev/sdf'] === REPLACED['/dev/sdf'];
    assert.deepEqual(bench.stand, isReplaced ? REPLACED : BEFORE, where);
    bench.demandAllRun(where);
  };
  for (const fault of faults) {
    // It notes down, and takes the note away.
    for (const at of [0, 1]) {
      const bench = new Bench('Replace');
      bench.addApplications();
      bench.notes.faults = { [at]: fault };
      await check(bench, `${fault} at change ${at} of the notes`);
    }
    for (const step of ['stop', 'start'] as const)
      for (const at of [0, 1]) {
        const behaviours: Behaviours[] = [{}, {}];
        behaviours[at] = { [step]: [fault] };
        const bench = new Bench('Replace');
        bench.addApplications(...behaviours);
        await check(bench, `${fault} at ${step} of ${at}`);
      }
    // It fails, and is taken back: twice somebody dies then.
    const failing = new Bench('Replace');
    failing.addApplications({ start: ['refuse', fault], end: [fault] });
    await check(failing, `${fault} while it is taken back`);
  }
  assert.equal(died, 16);
});

test('what a restore left stopped is started also where nobody recovers its command', async () => {
  const bench = new Bench('Replace');
  bench.addApplications({ stop: ['dieAfter'] });
  assert.match((await bench.run()).stderr, /the agent ends/);
  assert.equal(bench.applications[0]?.runsOn, undefined);
  bench.ec2.newAgent();
  bench.beginAnew();
  assert.deepEqual(await bench.startLeftOver(), ['sdg', 'sdf']);
  bench.demandAllRun('expired');
});

test('a right that is missing is named before anything is changed', async () => {
  const operations = ['DescribeSnapshots', 'DescribeInstances', 'CreateVolume', 'AttachVolume'];
  for (const operation of [...operations, 'DetachVolume', 'DeleteVolume', 'CreateTags'])
    for (const mode of ['Test', 'Replace'] as const) {
      const bench = new Bench(mode);
      bench.ec2.denied.add(operation);
      const { stderr } = await bench.run();
      assert.match(stderr, new RegExp(`ROKKA_RESTORE_REFUSED.*no right to ${operation}`));
      assert.deepEqual(bench.ec2.changes, []);
    }
});

test('two restores at once are one too many', async () => {
  const bench = new Bench('Test');
  bench.verify = async (options) => {
    bench.verify = clean;
    assert.match((await bench.run()).stderr, /c-1 is restoring here/);
    return clean(options);
  };
  assert.equal((await bench.run()).succeeded, true);
  const recovering = bench.recover();
  assert.match((await bench.run()).stderr, /c-1 is restoring here/, 'nor while one is taken back');
  assert.equal(await recovering, 'It had made no volume.');
  assert.equal((await bench.run()).succeeded, true);
});

test('the boot volume of a set is tried out with the others, and never replaced', async () => {
  const tried = new Bench('Test');
  tried.addBoot();
  assert.deepEqual(await tried.run(), { succeeded: true, responseCode: 0, stderr: '' });
  assert.deepEqual(new Set(Object.values(tried.shown)), new Set([...Object.values(BEFORE), ...FRESH]));
  assert.deepEqual(tried.stand, BEFORE);

  const replaced = new Bench('Replace');
  replaced.addBoot();
  assert.deepEqual(await replaced.run(), { succeeded: true, responseCode: 0, stderr: '' });
  assert.deepEqual(replaced.stand, REPLACED);
  assert.match(replaced.said.join(''), /boot volume at \/dev\/xvda is left alone: snap-boot/);

  const alone = new Bench('Replace');
  alone.addBoot({ alone: true });
  const { succeeded: isDone, stderr } = await alone.run();
  assert.equal(isDone, false);
  assert.match(stderr, /has the boot volume alone, which is never replaced/);
  assert.deepEqual([alone.stand, alone.ec2.changes], [BEFORE, []]);
});

const FRESH = ['snap-f attached', 'snap-g attached', 'snap-boot attached'];
