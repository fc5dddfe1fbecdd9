/** Services are found by the control groups of those who write, and the one that carries it out is never among them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemd, unitOf } from './systemd.ts';

const SIGNAL = new AbortController().signal;

test('a service of the machine is told from what others look after', () => {
  assert.equal(unitOf('/system.slice/postgresql@15-main.service'), 'postgresql@15-main.service');
  assert.equal(unitOf('/system.slice/system-x.slice/x@1.service/part'), 'x@1.service');
  for (const other of ['/user.slice/user-1.slice/user@1.service/app.slice/x.service', '/init.scope', ''])
    assert.equal(unitOf(other), undefined, other);
  assert.equal(unitOf('/machine.slice/x.service'), undefined);
  // Who is in a container gives these names.
  for (const inside of ['docker-1.scope/system.slice/ssh.service', '-Hx@y.service', '--root.service'])
    assert.equal(unitOf(`/system.slice/${inside}`), undefined, inside);
  for (const root of ['/docker/1', '/lxc.payload.a', '/kubepods/pod1', '/..'])
    assert.equal(unitOf(`${root}/system.slice/ssh.service`), undefined, root);
});

function machine(
  cgroups: Readonly<Record<string, string>>,
  of: { has?: boolean; fails?: boolean; needs?: Record<string, string[]>; down?: string[] } = {},
) {
  const asked: string[] = [];
  const kind = systemd({
    species: [],
    machine: {
      hasSystemd: async () => of.has ?? true,
      cgroup: async (pid) => cgroups[pid] ?? '',
      stoppedWith: async (unit) => of.needs?.[unit] ?? [],
      async systemctl(args) {
        asked.push(args.join(' '));
        if (args[0] === 'is-active' && of.down?.includes(args.at(-1) ?? '')) return 'it is not';
        return of.fails ? 'it failed' : undefined;
      },
    },
  });
  return { kind, asked };
}

test('the services of those who write are stopped and started, but for its own', async () => {
  const { kind, asked } = machine({
    self: '/system.slice/rokka.service',
    1: '/system.slice/rokka.service',
    2: '/system.slice/app.service',
    3: '/system.slice/app.service',
    4: '/user.slice/user-1.slice/session-1.scope',
  });
  const { applications } = await kind.find({ volumes: [], writing: [1, 2, 3, 4], signal: SIGNAL });
  assert.deepEqual(
    applications.map(({ note }) => note.id),
    ['systemd:app.service'],
  );
  const [app] = applications;
  assert.deepEqual(await Promise.all([1, 2, 3, 4].map((pid) => app.owns(pid))), [false, true, true, false]);
  await app.stop(SIGNAL);
  await kind.from(app.note).start(SIGNAL);
  assert.deepEqual(asked, ['stop -- app.service', 'start -- app.service']);
});

test('what systemd says no to is told; without it nothing is a service', async () => {
  const cgroups = { 2: '/system.slice/app.service' };
  const failing = machine(cgroups, { fails: true });
  const of = { volumes: [], writing: [2], signal: SIGNAL };
  const [app] = (await failing.kind.find(of)).applications;
  await assert.rejects(app.stop(SIGNAL), /app\.service does not stop: it failed/);
  await assert.rejects(app.start(SIGNAL), /app\.service does not run: it failed/);
  assert.match((await app.whyDown()) ?? '', /not active/);
  assert.deepEqual((await machine(cgroups, { has: false }).kind.find(of)).applications, []);
});

test('what needs a service goes down with it, and is started with it', async () => {
  const cgroups = { self: '/system.slice/rokka.service', 2: '/system.slice/db.service' };
  const needs = {
    'db.service': ['web.service', 'off.service'],
    'web.service': ['proxy.service', 'db.service'],
  };
  const { kind, asked } = machine(cgroups, { needs, down: ['off.service'] });
  const of = { volumes: [], writing: [2], signal: SIGNAL };
  const [db] = (await kind.find(of)).applications;
  assert.equal(db.note.name, 'the service db.service, web.service, proxy.service');
  await db.stop(SIGNAL);
  await kind.from(JSON.parse(JSON.stringify(db.note))).start(SIGNAL);
  assert.deepEqual(asked.slice(-2), ['stop -- db.service', 'start -- db.service web.service proxy.service']);
  assert.equal(await db.whyDown(), undefined);
  const half = machine(cgroups, { down: ['proxy.service'] }).kind.from(db.note);
  assert.match((await half.whyDown()) ?? '', /proxy\.service is not active/);
  const own = machine(cgroups, { needs: { 'db.service': ['rokka.service'] } });
  const { applications, immovable } = await own.kind.find(of);
  assert.deepEqual([applications, immovable.length], [[], 1]);
  assert.match(immovable[0]?.why ?? '', /rokka\.service.*would stop with db\.service/);
});
