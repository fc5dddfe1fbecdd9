import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DatabaseRecord, DatabaseState } from '@rokka/databases';
import { must, type VolumeId } from '@rokka/kernel';
import { type ChildFacts, decide, type Decision, type Facts, LATE_MS, stateAfter } from './decision.ts';

const RECORD: DatabaseRecord = {
  name: 'one',
  engine: 'native',
  volumeId: 'vol-1' as VolumeId,
  createdAtMs: 0,
  port: 5433,
  desired: 'running',
  generation: 0,
  settings: {},
  databaseName: 'postgres',
  userName: 'postgres',
  passwordVersion: 0,
  retentionDays: 0,
};
const HAS_RUN: DatabaseState = { phase: 'stopped', generation: 0, passwordVersion: 0, atMs: 1 };
const child = (kind: ChildFacts['kind'], part: Partial<ChildFacts> = {}): ChildFacts => ({
  kind,
  generation: 0,
  passwordVersion: 0,
  sinceMs: 0,
  ...part,
});
const facts = (part: Partial<Facts>, record: Partial<DatabaseRecord> = {}): Facts => ({
  record: { ...RECORD, ...record },
  revision: 1,
  state: undefined,
  child: undefined,
  failure: undefined,
  mayStart: true,
  passwordIsNew: false,
  nowMs: 1_000,
  ...part,
});
/** Of a volume that is placed on a joined machine. */
const placed = (machine: string | undefined, part: Partial<DatabaseRecord> = {}) => ({
  engine: 'files' as const,
  files: { sizeBytes: 1, mount: 'sdf', ...(machine !== undefined && { machine }) },
  ...part,
});
const away = { machine: 'm-7', isAway: true, why: 'AWAY: …' };
const failure = (retryAtMs: number, revision = 1) => ({ reason: 'PORT_USED: …', revision, retryAtMs });

describe('what comes next', () => {
  const table: [string, Facts, Decision['step'], Decision['phase'], reason?: string][] = [
    ['a new one is made', facts({}), 'start', 'creating'],
    ['one that ran is started', facts({ state: HAS_RUN }), 'start', 'starting'],
    ['it waits for its turn', facts({ mayStart: false }), 'none', 'creating'],
    ['a start is waited for', facts({ child: child('starting') }), 'none', 'creating'],
    [
      'its head died by itself and comes again',
      facts({ state: HAS_RUN, child: child('starting', { why: 'KILLED: …' }) }),
      'none',
      'starting',
      'KILLED: …',
    ],
    ['it serves', facts({ state: HAS_RUN, child: child('serving') }), 'none', 'available'],
    [
      'a restart is asked for',
      facts({ state: HAS_RUN, child: child('serving') }, { generation: 1 }),
      'end',
      'stopping',
    ],
    [
      'a restart is asked for while it starts',
      facts({ child: child('starting') }, { generation: 1 }),
      'end',
      'creating',
    ],
    [
      'a restart is under way',
      facts({ state: HAS_RUN, child: child('ending') }, { generation: 1 }),
      'none',
      'stopping',
    ],
    ['it failed just now', facts({ failure: failure(2_000) }), 'none', 'failed', 'PORT_USED: …'],
    ['it is tried again after a while', facts({ failure: failure(900) }), 'start', 'failed', 'PORT_USED: …'],
    ['it is tried again at once when it changed', facts({ failure: failure(2_000, 0) }), 'start', 'creating'],
    [
      'it hangs',
      facts({ nowMs: LATE_MS + 1, state: HAS_RUN, child: child('starting') }),
      'give-up',
      'starting',
    ],
    ['it shall stop', facts({ child: child('serving') }, { desired: 'stopped' }), 'end', 'stopping'],
    [
      'it shall stop while it starts',
      facts({ child: child('starting') }, { desired: 'stopped' }),
      'end',
      'stopping',
    ],
    ['it stops', facts({ child: child('ending') }, { desired: 'stopped' }), 'none', 'stopping'],
    ['it has stopped', facts({ state: HAS_RUN }, { desired: 'stopped' }), 'none', 'stopped'],
    [
      'it is opened once for a snapshot',
      facts({ state: HAS_RUN, isAwaited: true }, { desired: 'stopped' }),
      'start',
      'stopped',
    ],
    [
      'it is open for that',
      facts({ state: HAS_RUN, isAwaited: true, child: child('serving') }, { desired: 'stopped' }),
      'none',
      'stopped',
    ],
    [
      'it shall stop, and a snapshot waits for the end of it',
      facts({ isAwaited: true, child: child('serving') }, { desired: 'stopped', generation: 1 }),
      'end',
      'stopping',
    ],
    [
      'its opening hangs',
      facts({ isAwaited: true, nowMs: LATE_MS + 1, child: child('starting') }, { desired: 'stopped' }),
      'give-up',
      'stopped',
    ],
    [
      'it would be mounted by that',
      facts({ state: HAS_RUN, isAwaited: true }, placed(undefined, { desired: 'stopped' })),
      'none',
      'stopped',
    ],
    ['it shall go', facts({ child: child('serving') }, { desired: 'deleted' }), 'end', 'deleting'],
    ['it ends before it goes', facts({ child: child('ending') }, { desired: 'deleted' }), 'none', 'deleting'],
    ['nothing runs: it goes', facts({ state: HAS_RUN }, { desired: 'deleted' }), 'delete', 'deleting'],
    [
      'it cannot go now',
      facts({ failure: failure(2_000) }, { desired: 'deleted' }),
      'none',
      'deleting',
      'PORT_USED: …',
    ],
    [
      'what failed before it was to go does not hold it up',
      facts({ failure: failure(2_000, 0) }, { desired: 'deleted' }),
      'delete',
      'deleting',
    ],
    [
      'its machine is not heard, however long',
      facts({ nowMs: LATE_MS + 1, state: HAS_RUN, child: child('starting', away) }, placed('m-7')),
      'none',
      'starting',
      'AWAY: …',
    ],
    [
      'it shall stop on a machine that is not heard',
      facts({ state: HAS_RUN, child: child('ending', away) }, placed('m-7', { desired: 'stopped' })),
      'none',
      'stopping',
      'AWAY: …',
    ],
    [
      'it is taken from its machine, heard or not',
      facts({ state: HAS_RUN, child: child('ending', away) }, placed(undefined)),
      'abandon',
      'stopping',
    ],
    [
      'it is placed on another machine',
      facts({ state: HAS_RUN, child: child('serving', { machine: 'm-7' }) }, placed('m-8')),
      'abandon',
      'stopping',
    ],
    [
      'it is placed on a machine while it runs on the first',
      facts({ state: HAS_RUN, child: child('serving') }, placed('m-8')),
      'end',
      'stopping',
    ],
    [
      'it shall stop, and a controller before this one has started it on its machine',
      facts({ state: { phase: 'starting', generation: 0, atMs: 1 } }, placed('m-7', { desired: 'stopped' })),
      'end-there',
      'stopping',
    ],
    [
      'its head has ended there',
      facts(
        { state: { phase: 'stopping', generation: 0, atMs: 1 }, endedOn: 'm-7' },
        placed('m-7', { desired: 'stopped' }),
      ),
      'none',
      'stopped',
    ],
    [
      'it has stopped there',
      facts({ state: HAS_RUN }, placed('m-7', { desired: 'stopped' })),
      'none',
      'stopped',
    ],
    [
      'it shall go, and its machine is not heard',
      facts({ child: child('ending', away) }, placed('m-7', { desired: 'deleted' })),
      'abandon',
      'deleting',
    ],
    [
      'it shall have another password',
      facts({ state: HAS_RUN, child: child('serving') }, { passwordVersion: 1 }),
      'set-password',
      'available',
    ],
    [
      'its password was changed and a crash came between',
      facts({ state: HAS_RUN, child: child('serving'), passwordIsNew: true }),
      'set-password',
      'available',
    ],
    [
      'nobody knows its password',
      facts({ state: HAS_RUN, child: child('serving', { mustRestart: true }), passwordIsNew: true }),
      'end',
      'stopping',
    ],
    [
      'its password could not be set',
      facts({ state: HAS_RUN, child: child('serving'), failure: failure(2_000) }, { passwordVersion: 1 }),
      'none',
      'available',
      'PORT_USED: …',
    ],
    [
      'another process shall wait beside it',
      facts({ state: HAS_RUN, child: child('serving') }, { standbys: 1 }),
      'keep-standbys',
      'available',
    ],
    [
      'one does, and waits',
      facts(
        { state: HAS_RUN, child: child('serving', { standbys: { kept: 1, waiting: 1 } }) },
        { standbys: 1 },
      ),
      'none',
      'available',
    ],
    [
      'none needs to any more',
      facts({ state: HAS_RUN, child: child('serving', { standbys: { kept: 1, waiting: 0 } }) }),
      'keep-standbys',
      'available',
    ],
    [
      'PGlite is told its password when it starts',
      facts({ state: HAS_RUN, child: child('serving') }, { engine: 'pglite', passwordVersion: 1 }),
      'end',
      'stopping',
    ],
  ];
  for (const [what, given, step, phase, reason] of table)
    test(what, () => assert.deepEqual({ reason: undefined, ...decide(given) }, { step, phase, reason }));
});

test('a state is written once, and says where it serves while it does', () => {
  const endpoint = { host: '127.0.0.1', port: 5433 };
  const serving = facts({ child: child('serving', { endpoint, generation: 3, passwordVersion: 2 }) });
  const record = { ...RECORD, generation: 3, passwordVersion: 2 };
  const first = stateAfter({ ...serving, record }, { step: 'none', phase: 'available' });
  assert.deepEqual(first, { phase: 'available', generation: 3, passwordVersion: 2, endpoint });
  const standbys = (waiting: number) => {
    const beside = { ...must(serving.child), standbys: { kept: 1, waiting } };
    return stateAfter({ ...serving, record, child: beside }, { step: 'none', phase: 'available' });
  };
  assert.deepEqual(standbys(1), { ...first, standbys: 1 });
  assert.deepEqual(standbys(0), first);
  const again = { ...serving, record, state: { ...first, atMs: 5 } as DatabaseState };
  assert.equal(stateAfter(again, { step: 'none', phase: 'available' }), undefined);
  assert.deepEqual(
    stateAfter({ ...again, child: undefined }, { step: 'none', phase: 'failed', reason: 'X' }),
    {
      phase: 'failed',
      generation: 3,
      passwordVersion: 2,
      reason: 'X',
    },
  );
});

/** A database as slow and as brittle as can be: each step takes a moment, may fail, and everything may crash at any time. */
class World {
  record: DatabaseRecord = RECORD;
  revision = 1;
  state: DatabaseState | undefined;
  child: ChildFacts | undefined;
  failure: Facts['failure'];
  gone = false;
  nowMs = 0;
  server = { exists: false, password: 0 };

  wish(part: Partial<DatabaseRecord>): void {
    if (this.record.desired === 'deleted') return;
    this.record = { ...this.record, ...part };
    this.revision++;
  }

  /** Everything but the registry and the volume is forgotten. */
  crash(): void {
    this.child = undefined;
    this.failure = undefined;
  }

  /** What goes on by itself. */
  move(how: 'well' | 'ill'): void {
    this.nowMs += 1_000;
    const { child } = this;
    if (child?.kind === 'ending') this.child = undefined;
    if (child?.kind !== 'starting') return;
    if (how === 'well') {
      if (!this.server.exists) this.server = { exists: true, password: this.record.passwordVersion };
      this.child = { ...child, kind: 'serving', sinceMs: this.nowMs };
      this.failure = undefined;
    } else {
      this.child = undefined;
      this.fail();
    }
  }

  fail(): void {
    this.failure = { reason: 'ill', revision: this.revision, retryAtMs: this.nowMs + 3_000 };
  }

  control(how: 'well' | 'ill'): void {
    if (this.gone) return;
    const { record, revision, state, child, failure, nowMs } = this;
    const known = { record, revision, state, child, failure, nowMs };
    const facts: Facts = { ...known, mayStart: true, passwordIsNew: false };
    const decision = decide(facts);
    const next = stateAfter(facts, decision);
    if (next) this.state = { ...next, atMs: this.nowMs };
    if (decision.step === 'start') {
      assert.equal(this.child, undefined, 'never two heads');
      const { generation, passwordVersion } = this.record;
      const standbys = { kept: this.record.standbys ?? 0, waiting: 0 };
      this.child = { kind: 'starting', generation, passwordVersion, standbys, sinceMs: this.nowMs };
    } else if (decision.step === 'end' || decision.step === 'give-up') {
      assert.ok(this.child);
      this.child = { ...this.child, kind: 'ending' };
    } else if (decision.step !== 'none' && how === 'ill') {
      this.fail();
    } else if (decision.step === 'delete') {
      assert.equal(this.child, undefined, 'nothing is taken from under a head');
      this.gone = true;
    } else if (decision.step === 'keep-standbys') {
      const kept = this.record.standbys ?? 0;
      this.child = { ...must(this.child), standbys: { kept, waiting: kept } };
    } else if (decision.step === 'set-password' && this.state) {
      this.server.password = this.record.passwordVersion;
      this.state = { ...this.state, passwordVersion: this.record.passwordVersion };
    }
  }
}

test('whatever happens, what is wished comes true when nothing goes ill any more, and is said', () => {
  const wish = fc.constantFrom<Partial<DatabaseRecord>>(
    { desired: 'running' },
    { desired: 'stopped' },
    { desired: 'deleted' },
    { standbys: 0 },
    { standbys: 1 },
  );
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.constant('control' as const) },
    { weight: 3, arbitrary: fc.constantFrom('well' as const, 'ill' as const) },
    { weight: 1, arbitrary: fc.constantFrom('crash' as const, 'restart' as const, 'password' as const) },
    { weight: 1, arbitrary: wish },
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.boolean(), (events, isPglite) => {
      const world = new World();
      if (isPglite) world.record = { ...RECORD, engine: 'pglite' };
      for (const event of events) {
        if (event === 'control') world.control('ill');
        else if (event === 'well' || event === 'ill') world.move(event);
        else if (event === 'crash') world.crash();
        else if (event === 'restart') world.wish({ generation: world.record.generation + 1 });
        else if (event === 'password') world.wish({ passwordVersion: world.record.passwordVersion + 1 });
        else world.wish(event);
      }
      for (let i = 0; i < 20; i++) {
        world.control('well');
        world.move('well');
      }
      const { record, state, child } = world;
      assert.equal(world.gone, record.desired === 'deleted');
      if (record.desired === 'stopped') assert.deepEqual([state?.phase, child], ['stopped', undefined]);
      if (record.desired !== 'running') return;
      assert.deepEqual(
        [state?.phase, child?.kind, child?.generation, state?.generation, state?.passwordVersion],
        ['available', 'serving', record.generation, record.generation, record.passwordVersion],
      );
      assert.equal(child?.standbys?.kept, record.standbys ?? 0);
      assert.equal(state?.reason, undefined);
    }),
    { numRuns: 2_000 },
  );
});
