/** The applications on volumes that are replaced: whatever fails or dies when, they run in the end, on the volumes that are in place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STOP_MS_MAX } from '@rokka/snapshots';
import type { Behaviours } from '../testing/fake-application.ts';
import { BEFORE, clean, REPLACED, RestoreBench as Bench } from '../testing/restore-bench.ts';

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

test('an application that somebody else starts again is named, and keeps its volume', async () => {
  const ways = [
    ['comesBack', 'sdg'],
    ['comesBackFixed', 'a server (pid 7): sdg is confined'],
  ] as const;
  for (const [behaviour, words] of ways) {
    const bench = new Bench('Replace');
    bench.addApplications({}, { stop: [behaviour] });
    const { succeeded, stderr } = await bench.run();
    assert.equal(succeeded, false);
    const why = 'programs have files open again on volumes that would be replaced';
    assert.ok(stderr.includes(`${why}: ${words}. Stop what starts them first`), stderr);
    assert.deepEqual(bench.stand, BEFORE);
    bench.demandAllRun('back');
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
        // What has the old volumes is not ended by force.
        const ends = step === 'stop' ? 0 : 1;
        const [first, second] = bench.applications;
        const told = bench.said.filter((line) =>
          /on the new volumes: what it accepted there.*goes with them/.test(line),
        );
        assert.equal(told.length, ends === 0 ? 0 : 2, where);
        assert.deepEqual([first?.ends, second?.ends], [ends, ends], where);
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

test('where only half could be taken back nothing is started on the halves, and it is said', async () => {
  const bench = new Bench('Replace');
  bench.addApplications();
  bench.ec2.taken.add('/dev/sdg');
  const denial = setDenied(bench);
  const { succeeded, stderr } = await bench.run();
  assert.equal(succeeded, false);
  assert.equal(denial.count > 0, true);
  assert.match(stderr, /ROKKA_RESTORE_DOWN.*RokkaReplaces.*sdf, sdg: not started.*attach the others/);
  for (const { runsOn } of bench.applications) assert.equal(runsOn, undefined);
  // Somebody puts them in order by hand.
  bench.ec2.volumes.clear();
  bench.ec2.put('vol-f', '/dev/sdf');
  bench.ec2.put('vol-g', '/dev/sdg');
  assert.deepEqual(await bench.startLeftOver(), ['sdg', 'sdf']);
  bench.demandAllRun('put in order');
});

/** From the first attachment that fails on the role may detach nothing any more. */
function setDenied(bench: Bench): { count: number } {
  const seen = { count: 0 };
  const { taken } = bench.ec2;
  const has = taken.has.bind(taken);
  taken.has = (device) => {
    if (!has(device)) return false;
    seen.count++;
    bench.ec2.denied.add('DetachVolume');
    return true;
  };
  return seen;
}
