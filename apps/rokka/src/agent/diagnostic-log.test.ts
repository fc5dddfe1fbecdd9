import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import type { Coordination } from '@rokka/snapshots';
import { DiagnosticLog } from './diagnostic-log.ts';

const writer = (state: string, why?: string) => ({ id: 'pg', state, ...(why !== undefined && { why }) });
const turn = (step: string, state: string, more: Partial<Coordination> = {}) =>
  ({ step, tier: 0, writers: [writer(state)], doubts: [], ...more }) as unknown as Coordination;

function begun(clock: VirtualClock, command = 'c-1'): DiagnosticLog {
  return new DiagnosticLog(clock, { command, instance: 'i-1', request: { excludesBoot: true } });
}

test('each step is said once, with its time; a veto and doubts with their reasons', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-diagnostics-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const clock = new VirtualClock();
  const log = begun(clock);
  log.turn(turn('identify', 'STABLE'));
  clock.advanceTo(12);
  log.turn(turn('freeze', 'WAITING_FOR_FREEZE'));
  clock.advanceTo(13);
  log.turn(turn('freeze', 'WAITING_FOR_FREEZE'));
  const veto = { who: 'pg', step: 'freeze', why: 'its disk is full' } as const;
  log.turn(turn('abort', 'FAILED_AT_FREEZE', { veto, doubts: ['somebody else writes'] }));
  const file = await log.keep(path.join(directory, 'kept'), 'c-1');
  const [first, ...lines] = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  assert.match(first ?? '', /^\d{4}-.* command c-1, instance i-1: \{"excludesBoot":true\}$/);
  assert.deepEqual(
    lines.map((line) => line.trim()),
    [
      '0 ms identify, tier 0; pg STABLE',
      '12 ms freeze, tier 0; pg WAITING_FOR_FREEZE',
      '13 ms abort, tier 0; pg FAILED_AT_FREEZE; veto of pg: its disk is full; doubt: somebody else writes',
    ],
  );
  assert.deepEqual(
    [file, path.dirname(file)].map((each) => fs.statSync(each).mode & 0o777),
    [0o600, 0o700],
    'for root alone',
  );
});

test('the twenty newest are kept, and nothing else is touched', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-diagnostics-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  fs.writeFileSync(path.join(directory, 'note.txt'), 'mine');
  const clock = new VirtualClock();
  for (let i = 1; i <= 22; i++) {
    clock.advanceTo(i * 1_000);
    await begun(clock, `c-${i}`).keep(directory, `c-${i}`);
  }
  const names = fs.readdirSync(directory);
  assert.equal(names.length, 21);
  assert.ok(names.includes('note.txt') && names.some((name) => name.endsWith('-c-22.log')));
  assert.ok(!names.some((name) => /-c-[12]\.log$/.test(name)), names.join());
});
