import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, suite, test } from 'node:test';
import { isCoded, systemClock } from '@rokka/kernel';
import { unmount } from './mount.ts';
import { readMountTable } from './mount-table.ts';
import { FuseServer } from './server.ts';
import {
  cannotMount,
  cleanUp,
  isMounted,
  leftMounted,
  Mounted,
  run,
  sh,
  shell,
  temporaryDirectory,
} from './testing/mounted.ts';
import { TinyHandler } from './testing/tiny-handler.ts';

const SERVE = fileURLToPath(new URL('testing/serve.ts', import.meta.url));
const LIMIT = { timeout: 300_000 };
/** `nobody`: an ordinary user on every Linux. */
const NOBODY = 65_534;
const MOUNTING = {
  handler: new TinyHandler(),
  clock: systemClock,
  log: () => {},
};

/** A server in a process of its own, mounted. */
async function serve(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SERVE, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('ready') && resolve());
    child.once('close', () => reject(new Error('the server ended before it was mounted')));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}

/** Whoever has made a mount namespace of his own meanwhile has a copy of every mount, and each of them keeps the server. */
async function unmountEverywhere(directory: string): Promise<void> {
  await sh(`umount ${directory}`, '/');
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    if (seesMounted(pid, directory)) await run('nsenter', ['-t', pid, '-m', 'umount', directory]);
}

function seesMounted(pid: string, directory: string): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(` ${directory} `);
  } catch {
    return false; // It ended while we looked.
  }
}

suite('a mount', { skip: cannotMount }, () => {
  after(() => assert.deepEqual(leftMounted(), []));

  for (const reader of ['epoll', 'pool'] as const) {
    test(`as root, read by ${reader}`, LIMIT, async () => {
      await using mounted = await Mounted.make({ reader, source: 'my-volume' });
      const { directory, server } = mounted;
      assert.equal(server.readerKind, reader);
      assert.equal(
        await sh('echo hello > a; cat a; df --output=source . | tail -1', directory),
        'hello\nmy-volume\n',
      );
      await server[Symbol.asyncDispose]();
      assert.equal(isMounted(directory), false);
      assert.deepEqual(await server.ended, { kind: 'unmounted' });
      assert.deepEqual(mounted.log, []);
    });
  }

  test('as root of a mount namespace of its own: the others do not see it', LIMIT, async () => {
    const directory = temporaryDirectory();
    const args = ['-m', '--propagation', 'private', process.execPath, SERVE, directory, '--self-test'];
    const { status, stdout, stderr } = await run('unshare', args);
    assert.equal(status, 0, stdout + stderr);
    assert.equal(stdout, 'ready\nhello\n0 644\n1\n\n');
    assert.equal(stderr, '');
    fs.rmdirSync(directory);
  });

  test('as an ordinary user who is root of a user namespace', LIMIT, async (t) => {
    // /dev/fuse is open to everybody on a desktop, not on every server: a device node of our own is.
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    const device = path.join(directory, 'fuse');
    const mountPoint = path.join(directory, 'mnt');
    await sh(`mknod -m 666 fuse c 10 229; mkdir mnt; chown ${NOBODY} . mnt`, directory);
    const args = ['-Urm', process.execPath, SERVE, mountPoint, device, '--self-test'];
    const { status, stdout, stderr } = await run('unshare', args, { uid: NOBODY });
    assert.equal(status, 0, stdout + stderr);
    assert.equal(stdout, 'ready\nhello\n0 644\n1\n\n');
    assert.equal(stderr, '');
  });

  test('an ordinary user gets a coded refusal', LIMIT, async (t) => {
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    await sh(
      `mknod -m 666 fuse c 10 229; mknod -m 600 closed c 10 229; mkdir mnt; chown ${NOBODY} . mnt`,
      directory,
    );
    const attempt = async (device: string) => {
      const args = [SERVE, path.join(directory, 'mnt'), path.join(directory, device)];
      return (await run(process.execPath, args, { uid: NOBODY })).stdout;
    };
    assert.match(await attempt('fuse'), /^FUSE_NOT_PERMITTED: mounting .*must be superuser/);
    assert.match(await attempt('closed'), /^FUSE_NOT_PERMITTED: opening .*EACCES/);
  });

  test('what is missing is named', LIMIT, async (t) => {
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, '');
    const refusals: [code: string, where: { mountPoint: string; device?: string }][] = [
      ['FUSE_NO_DEVICE', { mountPoint: directory, device: path.join(directory, 'none') }],
      ['FUSE_NO_MOUNT_POINT', { mountPoint: path.join(directory, 'none') }],
      ['FUSE_NO_MOUNT_POINT', { mountPoint: file }],
      ['FUSE_MOUNT_FAILED', { mountPoint: directory, device: '/dev/null' }],
    ];
    for (const [code, where] of refusals) {
      await assert.rejects(
        FuseServer.mount({ ...MOUNTING, ...where }),
        (error) => isCoded(error, code),
        code,
      );
    }
  });

  test('is not made twice', LIMIT, async () => {
    await using mounted = await Mounted.make();
    const { directory: mountPoint } = mounted;
    await assert.rejects(FuseServer.mount({ ...MOUNTING, mountPoint }), (error) =>
      isCoded(error, 'FUSE_ALREADY_MOUNTED'),
    );
    assert.equal(await sh('echo still here > a; cat a', mountPoint), 'still here\n');
  });

  test('that somebody else takes away ends the server', LIMIT, async () => {
    await using mounted = await Mounted.make();
    await unmountEverywhere(mounted.directory);
    assert.deepEqual(await mounted.server.ended, { kind: 'unmounted' });
  });

  for (const reader of ['epoll', 'pool'] as const) {
    test(
      `goes by force where a file in it is open, and that file gives errors (${reader})`,
      LIMIT,
      async (t) => {
        const mounted = await Mounted.make({ reader });
        const { directory, server } = mounted;
        const elsewhere = temporaryDirectory();
        t.after(() => cleanUp(elsewhere));
        const gone = path.join(elsewhere, 'gone');
        const script = `exec 3> held; echo open; until [ -e ${gone} ]; do sleep 0.05; done; echo x >&3`;
        const { status, stderr } = await shell(script, directory, (child) =>
          child.stdout?.once(
            'data',
            () => void server[Symbol.asyncDispose]().finally(() => fs.writeFileSync(gone, '')),
          ),
        );
        assert.notEqual(status, 0);
        assert.match(stderr, /not connected|I\/O error|aborted/i);
        await mounted[Symbol.asyncDispose]();
        assert.equal(isMounted(directory), false);
        assert.match(mounted.log.join(), /by force.*busy/);
      },
    );
  }
});

suite('a server that is killed', { skip: cannotMount }, () => {
  after(() => assert.deepEqual(leftMounted(), []));

  test('leaves errors, not silence, and a mount that can be removed', LIMIT, async (t) => {
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    const child = await serve(directory);
    await sh('echo hello > a', directory);
    await kill(child);
    const { status, stderr } = await run('cat', [path.join(directory, 'a')]);
    assert.equal(status, 1);
    assert.match(stderr, /not connected/);
    assert.equal(isMounted(directory), true);
    await unmount(directory, { how: 'clean', timeoutMs: 30_000, clock: systemClock });
    assert.equal(isMounted(directory), false);
  });

  test('is succeeded at the same place without any help', LIMIT, async (t) => {
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    await kill(await serve(directory));
    const second = await serve(directory);
    assert.equal(readMountTable().filter(({ mountPoint }) => mountPoint === directory).length, 1);
    assert.equal(await sh('echo again > a; cat a', directory), 'again\n');
    const closed = new Promise((resolve) => second.once('close', resolve));
    second.stdin?.end();
    assert.equal(await closed, 0);
  });

  test('fails the requests that were on the way', LIMIT, async (t) => {
    const directory = temporaryDirectory();
    t.after(() => cleanUp(directory));
    const child = await serve(directory);
    // The writer never stops by itself: only the end of the mount ends it.
    const { status, stderr } = await shell('while echo x >> log; do :; done; exit 9', directory, () => {
      void systemClock.sleep(300).then(() => kill(child));
    });
    assert.notEqual(status, 0);
    assert.match(stderr, /not connected|connection abort|error/i);
    await unmount(directory, { how: 'clean', timeoutMs: 30_000, clock: systemClock });
  });
});
