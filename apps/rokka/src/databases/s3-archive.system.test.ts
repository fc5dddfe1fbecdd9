/** An archive in a bucket, with real processes and a real server of S3: through its absence, killed heads and keys that change. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { BUCKET, refuse, S3Server } from '@rokka/archive/testing';
import { probeNativeSupport } from '@rokka/databases';
import { must, systemClock } from '@rokka/kernel';
import { dataPaths } from '../data-directory.ts';
import { FILL, Past, SUM } from '../testing/past-under-test.ts';
import { RokkaCommand } from '../testing/rokka-command.ts';
import { RokkaUnderTest } from '../testing/rokka-under-test.ts';
import { TestPlace } from '../testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 900_000;

const LOCATION = `s3://${BUCKET}/some/where`;
const SECRET = 'hush+hush/hush';
const env = { AWS_ACCESS_KEY_ID: 'FROMVARIABLES', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: '' };
const AWAY_MS = 180_000;
const LOOK_AGAIN_MS = 200;
const AWAY = /the archive does not get on: ARCHIVE_STORE_FAILED: .*s3:.*ECONNREFUSED/;

const flagsFor = (endpoint: string, location = LOCATION) => [
  '--archive',
  location,
  '--archive-endpoint',
  endpoint,
];

/** The ids of the keys that requests come with. */
function keysSeen(server: S3Server): Set<string> {
  const ids = new Set<string>();
  server.mischief = ({ headers }) => {
    ids.add(/Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1] ?? 'none');
    return false;
  };
  return ids;
}

/** In the log of the cluster. */
async function untilSaid(place: TestPlace, words: RegExp): Promise<void> {
  const untilMs = systemClock.nowMs() + AWAY_MS;
  while (!words.test(fs.readFileSync(dataPaths.log(place.data), 'utf8'))) {
    assert.ok(systemClock.nowMs() < untilMs, `the log does not say ${words}`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}

const environmentOf = (pid: number | undefined) => fs.readFileSync(`/proc/${must(pid)}/environ`, 'utf8');

describe('an archive in a bucket', { skip }, () => {
  test(
    'snapshots, restores and clones, while heads are killed and the bucket is away',
    { timeout },
    async () => {
      await using place = await TestPlace.make();
      await using server = await S3Server.start();
      const ids = keysSeen(server);
      await using rokka = await RokkaUnderTest.start(place, { extra: flagsFor(server.endpoint), env });
      const past = new Past(rokka);
      const { databases } = past;
      await past.create('one');
      await databases.query('one', FILL);
      const [first] = await databases.query('one', SUM);
      const early = await past.snapshot('one');
      await databases.query('one', `update rows set text = 'second' where n % 3 = 0`);
      const { pid, postgresPid } = await databases.available('one');
      assert.match(environmentOf(pid), /hush/);
      assert.doesNotMatch(environmentOf(postgresPid), /hush/);
      rokka.kill([must(pid)]);
      await databases.until(
        'one',
        'another head',
        (found) => found?.phase === 'available' && ![undefined, pid].includes(found.pid),
      );

      // Nobody answers there for a while: databases do not notice, and a snapshot waits.
      await server.close();
      // What the bucket cannot have yet: a snapshot of what is all there waits for nobody.
      await databases.query('one', `update rows set text = 'third' where n % 5 = 0`);
      const [second] = await databases.query('one', SUM);
      const late = must((await past.ask({ action: 'snapshot', name: 'one' })).made).name;
      await untilSaid(place, AWAY);
      await databases.query('one', 'delete from rows where n > 10');
      const { snapshots } = await past.ask({ action: 'snapshots' });
      assert.equal(must(snapshots.find(({ name }) => name === late)).phase, 'creating');
      await server.listen();
      await past.taken(late);

      await past.restore('two', '--from', early);
      assert.deepEqual(await databases.query('two', SUM), [first]);
      // The snapshot that waited is of a moment after it was asked for.
      await past.restore('three', '--from', late, '--clone');
      const [third] = await databases.query<{ n: number }>('three', SUM);
      assert.ok(JSON.stringify(third) === JSON.stringify(second) || third.n === 10, JSON.stringify(third));
      assert.deepEqual([...ids], [env.AWS_ACCESS_KEY_ID]);

      // The file wins; and a cluster that is there starts while its bucket is away.
      const keys = '[default]\naws_access_key_id = FROMFILE\naws_secret_access_key = hush+hush/hush\n';
      fs.writeFileSync(dataPaths.archiveKeys(place.data), keys, { mode: 0o600 });
      await rokka.stop();
      await server.close();
      await rokka.again();
      await server.listen();
      ids.clear();
      await databases.available('three');
      assert.deepEqual(await databases.query('three', SUM), [third]);
      await past.ownsAll('two');
      assert.deepEqual(await databases.query('two', SUM), [first]);
      assert.deepEqual([...ids], ['FROMFILE']);

      const { cluster } = await rokka.status();
      const own = `/${BUCKET}/some/where/${cluster}/`;
      const strange = server.seen.filter(
        (one) =>
          !one.includes(own) &&
          !decodeURIComponent(one).includes(`prefix=${own.slice(`/${BUCKET}/`.length)}`),
      );
      assert.deepEqual(strange, []);
      assert.equal(fs.existsSync(dataPaths.archive(place.data)), false);
      assert.doesNotMatch(place.processes().join('\n') + rokka.up.out + rokka.up.err, /hush/);
      const log = fs.readFileSync(dataPaths.log(place.data), 'utf8');
      assert.match(log, AWAY);
      assert.doesNotMatch(log, /hush/);
    },
  );

  test('what cannot be used is refused at the start, and nothing is made', { timeout }, async () => {
    await using place = await TestPlace.make();
    await using server = await S3Server.start();
    const up = async (flags: readonly string[], environment: Record<string, string> = env) => {
      const end = await RokkaCommand.run(['up', '--data', place.data, ...flags], { env: environment });
      assert.match(end.err, /^rokka: [A-Z_]+: [^\n]+\n$/);
      assert.equal(end.status, 1);
      assert.doesNotMatch(end.err, /hush/);
      return end.err;
    };
    const { endpoint } = server;
    const noKeys = { ...env, AWS_SECRET_ACCESS_KEY: '' };
    assert.match(
      await up(flagsFor(endpoint), noKeys),
      /ROKKA_ARCHIVE_KEYS: .*AWS_ACCESS_KEY_ID.*archive\.ini/,
    );
    const otherBucket = await up(flagsFor(endpoint, 's3://not-there'));
    assert.match(
      otherBucket,
      /ROKKA_ARCHIVE_UNUSABLE: .*s3:\/\/not-there .*no bucket not-there.*NoSuchBucket/,
    );
    // Who may list below a prefix alone is told this of what is gone.
    let removed = false;
    server.mischief = ({ method }, response) => {
      removed ||= method === 'DELETE';
      return removed && method === 'GET' && refuse(response, { status: 403, code: 'AccessDenied' });
    };
    assert.match(await up(flagsFor(endpoint)), /ROKKA_ARCHIVE_UNUSABLE: .*s3:ListBucket for bucket/);
    await server.close();
    assert.match(await up(flagsFor(endpoint)), /ROKKA_ARCHIVE_UNUSABLE: .*ECONNREFUSED/);
    assert.equal(fs.existsSync(place.data), false);
    await server.listen();

    // Keys that are there before the directory is.
    fs.mkdirSync(dataPaths.secrets(place.data), { recursive: true });
    fs.writeFileSync(dataPaths.archiveKeys(place.data), '[default]\naws_access_key_id = FROMFILE\n');
    assert.match(await up(flagsFor(endpoint), {}), /ROKKA_ARCHIVE_KEYS/);
    fs.appendFileSync(dataPaths.archiveKeys(place.data), 'aws_secret_access_key = hush\n');
    const ids = keysSeen(server);
    await using rokka = await RokkaUnderTest.start(place, { extra: flagsFor(endpoint), env });
    assert.deepEqual([...ids], ['FROMFILE']);
    await rokka.stop();
    assert.match(await up(['--archive', `s3://${BUCKET}`]), /ROKKA_ARCHIVE_FIXED: .*some\/where/);
    // A cluster that there is starts without them: its databases do not wait for their backups.
    fs.rmSync(path.join(place.data, 'secrets', 'archive.ini'));
    await using _again = await RokkaUnderTest.start(place, { env: noKeys });
  });
});
