import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, suite, test } from 'node:test';
import { Deferred, systemClock } from '@rokka/kernel';
import { NotReady } from '@rokka/volume';
import type { FileSystemHandler } from './filesystem-handler.ts';
import type { FuseHandler } from './handler.ts';
import {
  cannotMount,
  isMounted,
  leftMounted,
  Mounted,
  python,
  run,
  sh,
  shell,
  until,
} from './testing/mounted.ts';

const LIMIT = { timeout: 300_000 };

/** The handler with some operations replaced; the others go through. */
function overlay(handler: FileSystemHandler, replaced: Partial<FuseHandler>): FuseHandler {
  return new Proxy<FuseHandler>(handler, {
    get(target, name: keyof FuseHandler) {
      return replaced[name] ?? (target[name] as (...args: unknown[]) => unknown).bind(target);
    },
  });
}

/** A mount that keeps the sizes of all writes. */
async function recording(options: { cache?: 'direct' | 'kernel' } = {}) {
  const writes: { offset: number; length: number }[] = [];
  const mounted = await Mounted.make({
    ...options,
    wrap: (handler) =>
      overlay(handler, {
        write(ino, offset, bytes, killSetId) {
          writes.push({ offset, length: bytes.length });
          handler.write(ino, offset, bytes, killSetId);
        },
      }),
  });
  return { mounted, writes };
}

const hasPython = (await run('python3', ['-c', '1']).catch(() => undefined))?.status === 0;
const needsPython = hasPython ? {} : { skip: 'needs python3' };

suite('a server', { skip: cannotMount }, () => {
  after(() => assert.deepEqual(leftMounted(), []));

  for (const cache of ['direct', 'kernel'] as const) {
    test(`gets one request for each aligned write (cache: ${cache})`, LIMIT, async () => {
      const { mounted, writes } = await recording({ cache });
      await using _mounted = mounted;
      for (const sizeBytes of [8192, 65_536, 1_048_576]) {
        writes.length = 0;
        await sh(`dd if=/dev/zero of=f bs=${sizeBytes} count=4 conv=notrunc 2>/dev/null`, mounted.directory);
        const expected = [0, 1, 2, 3].map((i) => ({ offset: i * sizeBytes, length: sizeBytes }));
        assert.deepEqual(writes, expected);
        writes.length = 0;
        // Over what is there, at a place of its own, as PostgreSQL writes pages.
        await sh(
          `dd if=/dev/zero of=f bs=${sizeBytes} seek=2 count=1 conv=notrunc 2>/dev/null`,
          mounted.directory,
        );
        assert.deepEqual(writes, [{ offset: 2 * sizeBytes, length: sizeBytes }]);
      }
    });

    test(`maps files shared and writable (cache: ${cache})`, { ...LIMIT, ...needsPython }, async () => {
      await using mounted = await Mounted.make({ cache });
      const { status, stdout, stderr } = await python('mmap-check.py', [mounted.directory]);
      assert.equal(status, 0, stdout + stderr);
      assert.equal(stdout, 'ok\n');
    });
  }

  test('answers fsync, and writes under O_DSYNC, only when they are durable', LIMIT, async () => {
    const durable = new Deferred<void>();
    const waits: number[] = [];
    await using mounted = await Mounted.make({
      wrap: (handler) =>
        overlay(handler, {
          sync: (ino) => {
            waits.push(ino);
            return durable.promise;
          },
        }),
    });
    const ended: string[] = [];
    const programs = ['conv=fsync', 'conv=fdatasync', 'oflag=dsync', 'oflag=sync'].map(async (how, i) => {
      await sh(`dd if=/dev/zero of=f${i} bs=8k count=1 ${how} 2>/dev/null`, mounted.directory);
      ended.push(how);
    });
    // Another program goes through the same server meanwhile, and sees what was written.
    await until(() => waits.length === 4, 'four syncs');
    assert.equal(await sh('stat -c %s f*', mounted.directory), '8192\n'.repeat(4));
    assert.deepEqual(ended, []);
    durable.resolve();
    await Promise.all(programs);
    assert.equal(ended.length, 4);
  });

  test(
    'an interrupted fsync waits on: a signal does not look like lost data',
    { ...LIMIT, ...needsPython },
    async () => {
      const durable = new Deferred<void>();
      await using mounted = await Mounted.make({
        wrap: (handler) => overlay(handler, { sync: () => durable.promise }),
      });
      const script = [
        'import os, signal, sys',
        'signal.signal(signal.SIGALRM, lambda *a: None)',
        'fd = os.open(sys.argv[1] + "/f", os.O_CREAT | os.O_RDWR)',
        'os.write(fd, b"x")',
        'signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)',
        'print("fsync", flush=True)',
        'os.fsync(fd)',
        'print("durable")',
      ].join('\n');
      const program = run('python3', ['-c', script, mounted.directory], {
        onSpawn: (child) => void once(child.stdout!, 'data').then(() => waitForInterrupts()),
      });
      const waitForInterrupts = async () => {
        while (!mounted.server.statistics().requests['INTERRUPT']) await run('true', []);
        durable.resolve();
      };
      const { status, stdout, stderr } = await program;
      assert.equal(status, 0, stderr);
      assert.equal(stdout, 'fsync\ndurable\n');
    },
  );

  test('goes on while a request waits for pages', LIMIT, async () => {
    await using mounted = await Mounted.make();
    const { store, directory } = mounted;
    await sh('seq 100000 > numbers; md5sum numbers > sum; mkdir d', directory);
    for (let round = 0; round < 3; round++) {
      store.evict(store.pagesHeld());
      await sh('md5sum -c sum; echo more >> d/log; mv numbers d/n; mv d/n numbers', directory);
    }
    assert.deepEqual(mounted.log, []);
  });

  test('fails for good when the volume is lost: EIO, then the path is free', LIMIT, async () => {
    const lost = new Deferred<void>();
    await using mounted = await Mounted.make({
      wrap: (handler) => overlay(handler, { sync: () => lost.promise }),
    });
    const { directory, server } = mounted;
    const program = shell('exec 3> f; echo x >&3; sync f; echo y >&3', directory);
    await until(() => server.statistics().requests['FSYNC'] === 1, 'FSYNC');
    lost.reject(new Error('another writer opened the volume'));
    const { status, stderr } = await program;
    assert.notEqual(status, 0);
    assert.match(stderr, /I\/O error|Input\/output|not connected|aborted/);
    const end = await server.ended;
    assert.equal(end.kind, 'failed');
    assert.match(mounted.log.join('\n'), /the mount fails.*another writer/);
    await until(() => !isMounted(directory), 'the end of the mount');
  });

  for (const reader of ['epoll', 'pool'] as const) {
    test(`takes no more requests while too much waits (${reader})`, LIMIT, async () => {
      const room = new Deferred<void>();
      let full = true;
      await using mounted = await Mounted.make({
        reader,
        wrap: (handler) =>
          overlay(handler, {
            write(...args) {
              if (full) throw new NotReady({ room: true });
              handler.write(...args);
            },
            readyAfter: (error) =>
              error instanceof NotReady && error.room ? room.promise : handler.readyAfter(error),
          }),
      });
      const { directory, server } = mounted;
      const writers =
        'for i in $(seq 80); do head -c 1048576 /dev/zero | dd of=f$i bs=1M iflag=fullblock 2>/dev/null & done; wait';
      const program = sh(writers, directory);
      // 64 MiB may wait; `pool` has as many reads again on the way as it has threads.
      await until(() => server.statistics().waiting >= 64, 'waiting writes');
      await systemClock.sleep(200);
      const { waiting } = server.statistics();
      assert.ok(waiting <= 66, `${waiting} waiting`);
      full = false;
      room.resolve();
      await program;
      assert.equal(await sh('cat f* | wc -c', directory), `${80 * 1_048_576}\n`);
      assert.deepEqual(mounted.log, []);
    });
  }

  test('survives a program that is killed in the middle of its requests', LIMIT, async () => {
    await using mounted = await Mounted.make();
    for (let i = 0; i < 5; i++) {
      await shell(
        '(while :; do echo x >> log; cat log > copy; done) & until [ -e copy ]; do sleep 0.02; done; sleep 0.1; kill -9 $!',
        mounted.directory,
      );
    }
    assert.equal(await sh('rm log copy; ls', mounted.directory), '');
    assert.deepEqual(mounted.log, []);
  });

  test('lets go of what the kernel forgets', LIMIT, async () => {
    await using mounted = await Mounted.make();
    const { directory, server, filesystem } = mounted;
    const free = filesystem.statistics().blocksFree;
    await sh('mkdir d; for i in $(seq 200); do echo x > d/$i; done; ls -l d > /dev/null', directory);
    assert.ok(server.statistics().inodesHeld >= 200);
    await sh('rm -r d', directory);
    // The kernel forgets after it has answered rm.
    await until(() => server.statistics().inodesHeld < 10, 'forgets');
    assert.ok(filesystem.statistics().blocksFree >= free - 100);
  });
});
