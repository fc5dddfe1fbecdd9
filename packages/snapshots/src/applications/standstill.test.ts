/** Who may be stopped: everybody who writes is somebody's, or nobody is stopped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled, VirtualClock } from '@rokka/kernel';
import type { Writer, WriterKind } from '../writer.ts';
import type { Application, ApplicationKind, FoundApplications } from './application.ts';
import { Standstill } from './standstill.ts';
import type { Stopped } from './stopped-notes.ts';

const SIGNAL = new AbortController().signal;
const VOLUMES = [{ volume: 'vol-1', mountPoint: '/v' }];

function application(
  id: string,
  of: { pids?: number[]; paths?: string[]; pid?: number; lingers?: boolean } = {},
): Application {
  return {
    note: { kind: id, id, name: id, details: of.pid === undefined ? undefined : { pid: of.pid } },
    ...(of.paths && { paths: of.paths }),
    owns: async (pid) => of.pids?.includes(pid) ?? false,
    stop: async () => {},
    start: async () => {},
    end: async () => {},
    whyDown: async () => undefined,
    lingers: async () => of.lingers ?? false,
  };
}

function kindOf(found: Partial<FoundApplications>): ApplicationKind {
  const { applications = [], immovable = [] } = found;
  return {
    name: applications[0]?.note.kind ?? 'none',
    find: async () => ({ applications, immovable }),
    from: (note) => application(note.id),
  };
}

/** @param files by process, what it writes */
function standstill(
  kinds: ApplicationKind[],
  files: Readonly<Record<number, string>>,
  writers: WriterKind[] = [],
  mounted: Record<string, string> = { 'vol-1': '/v' },
) {
  const written: Stopped[] = [];
  const clock = new VirtualClock();
  const made = new Standstill({
    kinds,
    writers,
    notes: {
      where: '/notes',
      write: (stopped) => written.push(stopped),
      read: () => written.at(-1),
      remove: () => {},
    },
    mountPointOf: (volume) => mounted[volume],
    clock,
    strays: async ({ components }) =>
      Object.entries(files)
        .filter(([, file]) => !components.some(({ paths }) => paths.includes(file)))
        .map(([pid, file]) => ({ pid: Number(pid), words: `cat (pid ${pid}), which writes ${file}` })),
  });
  return { made, written, clock };
}

async function driven<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  const state = { isOver: false };
  const over = () => (state.isOver = true);
  work.then(over, over);
  for (let turns = 0; !state.isOver; turns++) {
    assert.ok(turns < 1_000, 'it ends');
    await settled();
    clock.runNext(Number.MAX_SAFE_INTEGER);
  }
  return work;
}

test('whoever writes and is not an application is named, and whoever cannot be started again with why', async () => {
  const kinds = [
    kindOf({ applications: [application('a', { pids: [1] })] }),
    kindOf({
      immovable: [
        { pid: 3, why: 'it runs as root' },
        { pid: 4, why: 'it is confined' },
      ],
    }),
  ];
  const { made } = standstill(kinds, { 1: '/v/1', 2: '/v/2', 3: '/v/3' });
  const { applications, immovable } = await made.look(VOLUMES, SIGNAL);
  assert.deepEqual(
    applications.map(({ note }) => note.id),
    ['a'],
  );
  assert.deepEqual(immovable, [
    'cat (pid 2), which writes /v/2',
    'cat (pid 3), which writes /v/3: it runs as root',
    'a server (pid 4): it is confined',
  ]);
});

test('files that scripts speak for are theirs, whoever writes them', async () => {
  const { made } = standstill([kindOf({ applications: [application('scripts', { paths: ['/v/1'] })] })], {
    1: '/v/1',
    2: '/v/2',
  });
  const { immovable } = await made.look(VOLUMES, SIGNAL);
  assert.deepEqual(immovable, ['cat (pid 2), which writes /v/2']);
});

test('a server of a service is the service’s, and may be as it likes', async () => {
  const kinds = [
    kindOf({ applications: [application('service', { pids: [1, 2] })] }),
    kindOf({
      applications: [application('server', { pid: 1, pids: [1] })],
      immovable: [{ pid: 2, why: 'it is confined' }],
    }),
  ];
  const { applications, immovable } = await standstill(kinds, { 1: '/v/1' }).made.look(VOLUMES, SIGNAL);
  assert.deepEqual(
    applications.map(({ note }) => note.id),
    ['service'],
  );
  assert.deepEqual(immovable, []);
});

test('what an earlier restore could not start is noted down with what is stopped', async () => {
  const { made, written } = standstill([], {});
  const before = application('before').note;
  written.push({ command: 'c-0', mountPoints: ['/w'], places: [], applications: [before], answered: [] });
  const of = { command: 'c-1', volumes: VOLUMES, after: ['vol-2'], say: () => {}, signal: SIGNAL };
  await made.stop([application('a')], of);
  const { command, mountPoints, applications } = written[1];
  assert.deepEqual([command, mountPoints], ['c-1', ['/w', '/v']]);
  assert.deepEqual(
    applications.map(({ id }) => id),
    ['before', 'a'],
  );
});

test('one that was told to stop and has not ended runs only where it says so itself', async () => {
  const lingering = application('pg:/v/data', { lingers: true });
  const of = { command: 'c-1', volumes: VOLUMES, after: ['vol-2'], say: () => {}, signal: SIGNAL };
  const silent = standstill([], {});
  await silent.made.stop([lingering], of);
  await assert.rejects(silent.made.start(SIGNAL), /pg:\/v\/data.*told to stop and has not ended/);
  const identify = async () => [{ name: 'pg', paths: ['/v/data'] }];
  const writer = { id: 'pg', identify, async [Symbol.asyncDispose]() {} } as unknown as Writer;
  const asked = standstill([], {}, [{ name: 'pg', discover: async () => [writer] }]);
  await asked.made.stop([lingering], of);
  assert.deepEqual(asked.written[0].answered, [{ kind: 'pg', directory: '/v/data' }]);
  assert.deepEqual(await asked.made.start(SIGNAL), ['pg:/v/data']);
});

test('nothing is started on volumes that do not belong together, or that are not there yet', async () => {
  const mounted: Record<string, string> = { f: '/v/f', g: '/v/g' };
  const starts: string[] = [];
  const app = { ...application('app'), start: async () => void starts.push(Object.keys(mounted).join()) };
  const { made, clock } = standstill([], {}, [], mounted);
  const volumes = Object.entries(mounted).map(([volume, mountPoint]) => ({ volume, mountPoint }));
  await made.stop([app], { command: 'c-1', volumes, after: ['f2', 'g2'], say: () => {}, signal: SIGNAL });
  delete mounted['f'];
  for (const other of ['x', 'f2']) {
    mounted[other] = '/v/f';
    await assert.rejects(made.start(SIGNAL), /app: not started.*\(f, g\).*\(f2, g2\).*attach the others/);
  }
  delete mounted['g'];
  await assert.rejects(made.start(SIGNAL), { code: 'SNAPSHOTS_VOLUMES_MIXED' });
  assert.deepEqual(starts, []);
  mounted['g2'] = '/v/g';
  await driven(clock, made.start(SIGNAL));
  assert.deepEqual(starts, ['x,f2,g2']);
});

test('what an earlier restore left on mixed volumes waits until it is whole, or replaced altogether', async () => {
  const places = [{ mountPoints: ['/v', '/w'], before: ['a', 'b'], after: ['a2', 'b2'] }];
  const left = { command: 'c-0', mountPoints: ['/v', '/w'], places, applications: [], answered: [] };
  const note = async (mounted: Record<string, string>, mountPoints: string[]) => {
    const { made, written } = standstill([], {}, [], mounted);
    written.push(left);
    const volumes = mountPoints.map((mountPoint) => ({ volume: `at ${mountPoint}`, mountPoint }));
    await made.stop([], { command: 'c-1', volumes, after: [], say: () => {}, signal: SIGNAL });
    return written[1].places.length;
  };
  assert.equal(await note({ a: '/v', b2: '/w' }, ['/v']), 2);
  assert.equal(await note({ a2: '/v', b2: '/w' }, ['/v']), 1);
  assert.equal(await note({ a: '/v', b2: '/w' }, ['/w', '/v']), 1);
});

test('one that ends again a moment after its start is down, though nobody can ask it', async () => {
  const { made, clock } = standstill([], {});
  let whys = 0;
  const shortLived = { ...application('app'), whyDown: async () => (++whys < 4 ? undefined : 'it ended') };
  await made.stop([shortLived], { command: 'c', volumes: VOLUMES, after: [], say: () => {}, signal: SIGNAL });
  const started = made.start(SIGNAL).catch((error: Error) => error.message);
  assert.match(String(await driven(clock, started)), /app: it ended; mend that or start it by hand/);
});

test('names that are anybody’s are told in one line, and not all of very many', async () => {
  const files = Object.fromEntries(Array.from({ length: 23 }, (_, at) => [at + 1, `/v/${at}\n\u001B[2Jx`]));
  const { immovable } = await standstill([], files).made.look(VOLUMES, SIGNAL);
  assert.equal(immovable[0], 'cat (pid 1), which writes /v/0 [2Jx');
  assert.deepEqual([immovable.length, immovable.at(-1)], [21, 'and 3 more']);
  const { made } = standstill([], {});
  const down = { ...application('app'), start: () => Promise.reject(new Error('a\nb\u0007c')) };
  await made.stop([down], { command: 'c', volumes: VOLUMES, after: [], say: () => {}, signal: SIGNAL });
  await assert.rejects(made.start(SIGNAL), /app: .*a b c; .*out of \/notes$/);
});

test('one that is noted down and that nobody here can start is told, and does not pass for one that runs', async () => {
  const { made, written, clock } = standstill([kindOf({ applications: [application('a')] })], {});
  const notes = [application('a'), application('later')].map(({ note }) => note);
  const places = [{ mountPoints: ['/v'], before: ['vol-1'], after: ['vol-2'] }];
  written.push({ command: 'c', mountPoints: ['/v'], places, applications: notes, answered: [] });
  await assert.rejects(driven(clock, made.start(SIGNAL)), {
    code: 'SNAPSHOTS_APPLICATIONS_DOWN',
    message: /later: nothing here knows how to start what is of the kind "later"/,
  });
});
