/** Local file systems are copied at one moment, clean, and what cannot be is refused before anybody is held. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { isCoded, must, systemClock } from '@rokka/kernel';
import { coordinate } from '../coordinator.ts';
import { outcomeOf } from '../outcome.ts';
import { straysOn } from '../strays.ts';
import { files } from '../writers/files.ts';
import type { LocalFileSystems } from './filesystems.ts';
import type { CopiedFileSystem, SetRecord } from './set-directories.ts';
import { demand, isFrozen, LoopBench, run, skipWithoutLoops } from './testing/loop-bench.ts';

const skip = skipWithoutLoops();
const timeout = 600_000;
const signal = () => AbortSignal.timeout(timeout);
const ROUNDS = 8;

/** A machine that is slow holds for too long, and is told so. */
const TRIES_MAX = 5;
const isLate = (reason: string) => /SNAPSHOTS_LATE|ms were over|the time was over/.test(reason);

async function takeSet(local: LocalFileSystems): Promise<SetRecord> {
  for (let tries = 1; ; tries++) {
    const record = await trySet(local, { isLast: tries === TRIES_MAX });
    if (record) return record;
  }
}

/** A whole course with the kernel's writer, as the agent has it. @returns undefined where it was late */
async function trySet(
  local: LocalFileSystems,
  { isLast }: { isLast: boolean },
): Promise<SetRecord | undefined> {
  const opened = must(await local.open(signal()));
  await using set = opened.set;
  await using provider = opened.provider;
  const { volumes } = provider;
  const writers = await files.discover({ volumes, signal: signal() });
  const course = await coordinate({ tiers: [[...writers]], provider, clock: systemClock });
  const { level, reasons } = outcomeOf(course, { strays: [], withoutWriters: false });
  if (!isLast && reasons.some(isLate)) return undefined;
  assert.deepEqual([level, reasons], ['application', []]);
  const { snapshots } = must(course.set);
  await set.publish('application');
  await set.prune();
  const record = recordBeside(must(snapshots[0]).snapshot);
  assert.deepEqual(
    record.fileSystems.map(({ mountPoint, copy }) => [mountPoint, copy]),
    snapshots.map(({ volume, snapshot }) => [volume, snapshot]),
  );
  return record;
}

const recordBeside = (copy: string) =>
  JSON.parse(fs.readFileSync(path.join(path.dirname(copy), 'set.json'), 'utf8')) as SetRecord;
const copyOf = (record: SetRecord, mountPoint: string): CopiedFileSystem =>
  must(record.fileSystems.find((one) => one.mountPoint === mountPoint));

async function writing(journal: string, ledger: string): Promise<ChildProcess> {
  const program = path.join(import.meta.dirname, 'testing', 'two-file-load.ts');
  const child = spawn(process.execPath, ['--no-warnings', program, journal, ledger], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

test(
  'what is written to one file system and then to another is in order on every set',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const { mountPoint: directory } = bench.store();
    const one = bench.make('journal', { type: 'ext4', directory });
    const two = bench.make('ledger', { type: 'xfs', directory });
    const local = bench.listed([one.mountPoint, two.mountPoint]);
    const [journal, ledger] = [path.join(one.mountPoint, 'journal'), path.join(two.mountPoint, 'ledger')];
    const child = await writing(journal, ledger);
    try {
      let before = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const record = await takeSet(local);
        const numberIn = (root: string, name: string) =>
          Number(fs.readFileSync(path.join(root, name), 'utf8').trim());
        const at = bench.look(copyOf(record, one.mountPoint).copy, 'ext4', (root) =>
          numberIn(root, 'journal'),
        );
        const to = bench.look(copyOf(record, two.mountPoint).copy, 'xfs', (root) => numberIn(root, 'ledger'));
        assert.ok(to <= at && at <= to + 1, `round ${round}: ${at} in the journal, ${to} in the ledger`);
        assert.ok(at > before, 'it went on meanwhile');
        before = at;
        const header = demand('dumpe2fs', '-h', copyOf(record, one.mountPoint).copy);
        assert.doesNotMatch(header, /needs_recovery/);
        assert.match(header, /^Filesystem state:\s+clean$/m);
      }
    } finally {
      await ended(child);
    }
  },
);

test('a set is there whole, is root’s alone, and says what it shows', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const stores = [bench.store(), bench.make('other', { type: 'xfs', directory: bench.root, bytes: 2 ** 29 })];
  const made = stores.map(({ mountPoint: directory }, at) =>
    bench.make(`fs${at}`, { type: 'ext4', directory }),
  );
  for (const { mountPoint } of made) fs.writeFileSync(path.join(mountPoint, 'file'), mountPoint);
  const local = bench.listed(made.map(({ mountPoint }) => mountPoint));
  const record = await takeSet(local);
  assert.deepEqual([record.version, record.level], [1, 'application']);
  for (const { mountPoint, device, image } of made) {
    const copied = copyOf(record, mountPoint);
    assert.deepEqual(
      [copied.type, copied.device, copied.original, copied.bytes],
      ['ext4', device, image, fs.statSync(image).size],
    );
    assert.equal(path.dirname(path.dirname(copied.copy)), path.join(path.dirname(image), '.rokka-snapshots'));
    for (const place of [copied.copy, path.dirname(copied.copy), path.dirname(path.dirname(copied.copy))])
      assert.equal(fs.statSync(place).mode & 0o077, 0, place);
    assert.deepEqual(recordBeside(copied.copy), record);
    const read = bench.look(copied.copy, 'ext4', (root) => fs.readFileSync(path.join(root, 'file'), 'utf8'));
    assert.equal(read, mountPoint);
    // It is a copy: what is written later is not there.
    fs.writeFileSync(path.join(mountPoint, 'file'), 'later');
  }
  assert.equal(fs.existsSync(path.join(bench.state, 'frozen-filesystems.json')), false);
});

test(
  'what was not published goes, at once or after a kill, and the oldest go where there are too many',
  { skip, timeout },
  async (t) => {
    using bench = new LoopBench(t);
    const stores = [
      bench.store(),
      bench.make('other', { type: 'xfs', directory: bench.root, bytes: 2 ** 29 }),
    ];
    const made = stores.map(({ mountPoint: directory }, at) =>
      bench.make(`fs${at}`, { type: 'ext4', directory }),
    );
    const names = () =>
      stores.map(({ mountPoint }) => fs.readdirSync(path.join(mountPoint, '.rokka-snapshots')).sort());
    const local = bench.listed(
      made.map(({ mountPoint }) => mountPoint),
      { more: 'keep 2' },
    );
    {
      const { set, provider } = must(await local.open(signal()));
      await using _ = set;
      await using held = provider;
      await held.snapshot(signal());
    }
    assert.deepEqual(names(), [[], []]);
    const first = await takeSet(local);
    assert.deepEqual(names(), [[first.id], [first.id]]);
    // A kill between the two names of a set, and one that came before: neither is whole.
    const [one, other] = stores.map(({ mountPoint }) => path.join(mountPoint, '.rokka-snapshots'));
    fs.renameSync(path.join(must(one), first.id), path.join(must(one), `${first.id}.new`));
    fs.mkdirSync(path.join(must(other), '20200101T000000Z-00000000.new'));
    fs.mkdirSync(path.join(must(other), 'not-ours.new'));
    const second = await takeSet(local);
    const third = await takeSet(local);
    assert.deepEqual(names(), [[second.id, third.id].sort(), [second.id, third.id, 'not-ours.new'].sort()]);
    const fourth = await takeSet(local);
    assert.ok(
      names().every((each) => each.includes(fourth.id) && !each.includes(second.id) === second.id < third.id),
    );
    assert.deepEqual(names()[0]?.length, 2);
  },
);

test('a set whose worth is not known yet is left alone by the next one', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const { mountPoint: directory } = bench.store();
  const local = bench.listed([bench.make('one', { type: 'ext4', directory }).mountPoint]);
  const { set, provider } = must(await local.open(signal()));
  await using _ = set;
  {
    await using held = provider;
    await held.snapshot(signal());
  }
  const next = await takeSet(local);
  await set.publish('crash');
  const left = fs.globSync(path.join(directory, '.rokka-snapshots', '*', 'one.img'));
  assert.deepEqual(
    left.map((copy) => recordBeside(copy).level).sort(),
    ['application', 'crash'],
    `${set.id} and ${next.id} are there`,
  );
});

test('who writes there is found, and the agent itself is not', { skip, timeout }, async (t) => {
  using bench = new LoopBench(t);
  const { mountPoint: directory } = bench.store();
  const one = bench.make('one', { type: 'ext4', directory });
  const opened = must(await bench.listed([one.mountPoint]).open(signal()));
  await using _ = opened.set;
  await using provider = opened.provider;
  const strays = () => straysOn({ volumes: provider.volumes, components: [], signal: signal() });
  assert.deepEqual(await strays(), []);
  const file = path.join(one.mountPoint, 'journal');
  const child = await writing(file, path.join(one.mountPoint, 'ledger'));
  try {
    assert.match(
      must((await strays())[0]),
      new RegExp(`\\(pid ${child.pid}\\), which writes ${one.mountPoint}/`),
    );
  } finally {
    await ended(child);
  }
});

describe('refused before anybody is held', () => {
  const refusal = async (local: LocalFileSystems, code: string, why: RegExp) => {
    const opened = await local.open(signal()).catch((error: unknown) => {
      assert.ok(isCoded(error, code), String(error));
      assert.match(error.message, why);
    });
    if (!opened) return;
    await opened.provider[Symbol.asyncDispose]();
    await opened.set[Symbol.asyncDispose]();
    assert.fail('it was opened');
  };
  const unfit = (local: LocalFileSystems, why: RegExp) => refusal(local, 'SNAPSHOTS_LOCAL_UNFIT', why);

  test('what is no file system of its own on a loop device', { skip, timeout }, async (t) => {
    using bench = new LoopBench(t);
    const { mountPoint: directory } = bench.store();
    const one = bench.make('one', { type: 'ext4', directory });
    fs.mkdirSync(path.join(one.mountPoint, 'part'));
    await unfit(bench.listed(['/']), /^\/ cannot be in a snapshot: the machine itself stands on it; /);
    await unfit(bench.listed([bench.root]), /nothing is mounted there; mount it/);
    await unfit(bench.listed([path.join(bench.root, 'absent')]), /nothing is mounted there/);
    await unfit(bench.listed(['/proc']), /of the type proc/);
    const bind = bench.bind(path.join(one.mountPoint, 'part'), 'bind');
    await unfit(bench.listed([bind]), /shows only the directory \/part/);
    const twin = bench.bind(one.mountPoint, 'twin');
    await unfit(
      bench.listed([one.mountPoint, twin]),
      new RegExp(`the same file system as ${one.mountPoint}`),
    );
    const tmpfs = bench.bind('/dev/shm', 'shm');
    await unfit(bench.listed([tmpfs]), /of the type tmpfs/);
    assert.equal(isFrozen(one.mountPoint), false);
  });

  test('what cannot be cloned, and what is below something else', { skip, timeout }, async (t) => {
    using bench = new LoopBench(t);
    const store = bench.store();
    const one = bench.make('one', { type: 'ext4', directory: store.mountPoint });
    await unfit(bench.listed([one.mountPoint, store.mountPoint]), /the file behind .* lies on it/);
    const plain = bench.make('plain', { type: 'ext4', directory: bench.root });
    const below = bench.make('below', { type: 'ext4', directory: plain.mountPoint, bytes: 16 * 2 ** 20 });
    await unfit(
      bench.listed([below.mountPoint]),
      /cannot be cloned \(\w+\): its file system has no reflinks/,
    );
    assert.deepEqual(fs.readdirSync(path.join(plain.mountPoint, '.rokka-snapshots')), []);
    fs.rmSync(one.image);
    // As the kernel calls the one that is gone.
    for (const name of [one.image, `${one.image} (deleted)`]) fs.writeFileSync(name, '');
    await unfit(bench.listed([one.mountPoint]), /is no longer at /);
  });

  test('what Rokka stands on, down to the last device', { skip, timeout }, async (t) => {
    using bench = new LoopBench(t);
    const store = bench.store();
    const one = bench.make('one', { type: 'xfs', directory: store.mountPoint });
    const inner = bench.make('inner', { type: 'ext4', directory: one.mountPoint, bytes: 16 * 2 ** 20 });
    const local = bench.listed([one.mountPoint]);
    // A part of the data directory is a link to a file system on a file on the one that would be frozen.
    fs.symlinkSync(inner.mountPoint, path.join(bench.data, 'archive'));
    await unfit(local, /Rokka's data directory \(.*archive\) lies on it/);
    fs.rmSync(path.join(bench.data, 'archive'));
    const opened = must(await local.open(signal()));
    await opened.provider[Symbol.asyncDispose]();
    await opened.set[Symbol.asyncDispose]();
  });

  test('a list, or a store, that somebody else may write', { skip, timeout }, async (t) => {
    using bench = new LoopBench(t);
    const { mountPoint: directory } = bench.store();
    const one = bench.make('one', { type: 'ext4', directory });
    const local = bench.listed([one.mountPoint]);
    fs.chmodSync(bench.listFile, 0o666);
    await refusal(local, 'SNAPSHOTS_LOCAL_LIST', /others may write it/);
    fs.chmodSync(bench.listFile, 0o600);
    fs.chownSync(bench.listFile, 65_534, 0);
    await refusal(local, 'SNAPSHOTS_LOCAL_LIST', /it belongs to user 65534/);
    fs.chownSync(bench.listFile, 0, 0);
    fs.chmodSync(directory, 0o777);
    await refusal(local, 'SNAPSHOTS_LOCAL_STORE', /not root that alone may write there/);
    fs.chmodSync(directory, 0o755);
    fs.chmodSync(bench.data, 0o700);
    fs.symlinkSync(bench.data, path.join(directory, '.rokka-snapshots'));
    await refusal(local, 'SNAPSHOTS_LOCAL_STORE', /no directory of root alone/);
    fs.rmSync(path.join(directory, '.rokka-snapshots'));
    fs.writeFileSync(bench.listFile, '# nobody\n', { mode: 0o600 });
    assert.equal(await local.open(signal()), undefined);
    fs.rmSync(bench.listFile);
    assert.equal(await local.open(signal()), undefined);
    assert.equal(run('fsfreeze', '-u', one.mountPoint).status === 0, false, 'nobody had frozen it');
  });
});
