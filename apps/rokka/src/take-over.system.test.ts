/**
 * The process that writes the volume is killed, again and again, and another one takes over: PostgreSQL and its clients wait a moment,
 * and lose nothing, not even a connection. Killed in the middle of taking over, or with its shim, it is a crash like any other:
 * everything begins anew, and every acknowledged entry is there.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { probeNativeSupport } from '@rokka/databases';
import { must, SeededRandom, systemClock, systemRandom } from '@rokka/kernel';
import { assertIntact } from './testing/integrity.ts';
import { Load } from './testing/load.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const needsNamespace =
  process.getuid?.() !== 0 || spawnSync('nsenter', ['--version']).status !== 0
    ? 'needs root and nsenter, to see what only PostgreSQL sees'
    : false;
const timeout = 900_000;
const seed = Number(process.env['ROKKA_CRASH_SEED'] ?? systemRandom.below(1_000_000));
const DIFFERENTIAL = fileURLToPath(
  new URL('../../../packages/fuse/src/testing/differential.ts', import.meta.url),
);
const COMMITS = 100;
const KILLS = 6;
/** One that had served for so long is followed at once. */
const WELL_MS = 2_100;

describe(`a head is taken over from (seed ${seed})`, { skip }, () => {
  const random = new SeededRandom(seed);
  const resources = new AsyncDisposableStack();
  let rokka: RokkaUnderTest;
  let load: Load;

  before(
    async () => {
      const place = resources.use(await TestPlace.make());
      rokka = resources.use(await RokkaUnderTest.start(place, { extra: ['--engine', 'native'] }));
      load = resources.use(await Load.make(rokka, COMMITS));
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  const shimPid = async () => must((await rokka.status()).head.shimPid);
  const canTakeOver = async () => (await rokka.headStatus()).head.detail?.process?.canBeTakenOver === true;
  /** The heads of the shim: the one that serves, and the one that waits, or takes over. */
  const headsOf = (shim: number): number[] =>
    textOf(`/proc/${shim}/task/${shim}/children`)
      .trim()
      .split(' ')
      .filter((pid) => textOf(`/proc/${pid}/cmdline`).includes('head-process'))
      .map(Number);

  /** Kills the head and waits until another one serves. */
  async function killHead(): Promise<void> {
    const { head } = await rokka.pids();
    rokka.kill([head]);
    await rokka.until('another head serves', ({ head: { pid } }) => pid !== undefined && pid !== head);
  }

  test('clients do not notice', { timeout }, async (t) => {
    if (!(await canTakeOver())) return t.skip('needs Linux 6.9');
    const { postgres } = await rokka.pids();
    await load.around(async () => {
      for (let i = 0; i < KILLS; i++) {
        await killHead();
        await load.ledger.progress(COMMITS);
        await systemClock.sleep(random.below(WELL_MS));
      }
      load.assertNoneFailed();
    });
    assert.equal((await rokka.pids()).postgres, postgres, 'the server is the same one');
    t.diagnostic(await load.verify());
    await assertIntact(rokka);
  });

  test('the mount does what a filesystem does', { timeout, skip: needsNamespace }, async (t) => {
    if (!(await canTakeOver())) return t.skip('needs Linux 6.9');
    const shim = await shimPid();
    const reference = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-reference-'));
    t.after(() => fs.rmSync(reference, { recursive: true }));
    const mounted = must(mountOf(shim));
    const script = 'mkdir "$1/differential" && exec "$2" "$3" "$1/differential" "$4" "$5" 2500';
    const args = [mounted, process.execPath, DIFFERENTIAL, reference, String(seed)];
    const differential = spawn(
      'nsenter',
      [`--mount=/proc/${shim}/ns/mnt`, '--', 'sh', '-ec', script, 'sh', ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    t.after(() => differential.kill('SIGKILL'));
    let said = '';
    for (const stream of [differential.stdout, differential.stderr])
      stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const end: { status?: number | null } = {};
    differential.once('close', (code) => (end.status = code));
    let kills = 0;
    while (end.status === undefined) {
      await systemClock.sleep(300 + random.below(1_000));
      if (end.status !== undefined || kills === KILLS) continue;
      await killHead();
      kills++;
    }
    assert.equal(end.status, 0, said);
    t.diagnostic(`${kills} heads killed; ${said.trim()}`);
    assert.ok(kills > 1, 'heads were killed meanwhile');
  });

  test('killed while one takes over, all of it begins anew', { timeout }, async (t) => {
    for (let round = 0; round < 3; round++) {
      const shim = await shimPid();
      await load.around(async () => {
        for (let kill = 0; kill < 6; kill++) {
          rokka.kill(headsOf(shim));
          await systemClock.sleep(random.below(250));
        }
        await rokka.pids();
      });
      t.diagnostic(await load.verify());
    }
    await assertIntact(rokka);
  });

  test('killed with its shim, it is a crash like any other', { timeout }, async (t) => {
    const shim = await shimPid();
    // Else each crash would leave something of PostgreSQL's there.
    assert.match(fs.readFileSync(`/proc/${shim}/mounts`, 'utf8'), /^rokka \/dev\/shm tmpfs /m);
    await load.around(async () => {
      rokka.kill([shim]);
      await rokka.until('another shim serves', ({ head }) => head.ready && head.shimPid !== shim);
    });
    t.diagnostic(await load.verify());
    await assertIntact(rokka);
  });
});

/** Empty where it ends while it is looked at. */
function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Where the database is mounted in the mount namespace of this process. Volumes of the machine, which may be in it as well, have names. */
function mountOf(pid: number): string | undefined {
  const mounts = fs.readFileSync(`/proc/${pid}/mounts`, 'utf8').split('\n');
  return mounts
    .map((line) => line.split(' '))
    .find(([source, , type]) => type === 'fuse.rokka' && source === 'rokka')?.[1];
}
