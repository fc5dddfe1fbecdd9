/** Both ways to restore: what they do, and that they leave all or nothing, wherever a call fails or the agent dies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '@rokka/kernel';
import type { ActionResult } from '../action.ts';
import type { Fault } from '../testing/fake-ec2.ts';
import { BEFORE, clean, REPLACED, RestoreBench as Bench } from '../testing/restore-bench.ts';

const FAULTS: readonly Fault[] = ['refuse', 'lose', 'die', 'dieAfter'];
const SOON_MS = 60_000;

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

test('an image is tried out and put in place as the set that it has, with or without tags', async () => {
  for (const mode of ['Test', 'Replace'] as const) {
    const bench = new Bench(mode);
    for (const made of bench.ec2.snapshots) made.Tags = [];
    bench.ec2.images.push({
      ImageId: 'ami-1',
      State: 'available',
      BlockDeviceMappings: ['f', 'g'].map((letter) => ({
        DeviceName: `/dev/sd${letter}`,
        Ebs: { SnapshotId: `snap-${letter}` },
      })),
    });
    bench.asked = { ImageId: 'ami-1' };
    assert.equal((await bench.run()).succeeded, true);
    assert.match(bench.said.join(''), /^Snapshot set ami-1, level crash, 2 snapshots:/);
    assert.deepEqual(bench.stand, mode === 'Test' ? BEFORE : REPLACED);
  }
  const denied = new Bench('Test');
  denied.asked = { ImageId: 'ami-1' };
  denied.ec2.denied.add('DescribeImages');
  assert.match((await denied.run()).stderr, /lacks a right: no right to DescribeImages/);
  assert.deepEqual(denied.ec2.changes, []);
});
