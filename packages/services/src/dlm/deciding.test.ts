/** The next step of a run: a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type RunFacts } from './deciding.ts';
import type { Run, ScriptRecord } from './dlm-records.ts';

const RUN: Run = {
  dueMs: 1,
  takenAtMs: 2,
  commandId: 'c',
  madeId: 's',
  mark: 'm',
  phase: 'script',
  attempt: 0,
};
const STRICT: ScriptRecord = { fallsBack: false, retries: 0 };
const SOFT: ScriptRecord = { fallsBack: true, retries: 0 };
const TWICE: ScriptRecord = { fallsBack: true, retries: 1 };
const failed = { state: 'failed', why: 'no' } as const;
const succeeded = { state: 'succeeded' } as const;
const NOTE = 'the snapshots are not consistent for applications: no';
const NOTHING = 'the command has made no snapshots that can be used';
const BROKEN = 'the snapshots could not be made';

type Row = [what: string, facts: Partial<RunFacts> & { of?: Partial<Run> }, step: string, why?: string];
const ROWS: Row[] = [
  ['a script begins with its command', { script: SOFT }, 'send'],
  ['it is waited for', { script: SOFT, command: { state: 'running' } }, 'none'],
  ['it went well, and copying lasts', { script: SOFT, command: succeeded, made: 'pending' }, 'none'],
  ['they get their tags', { script: SOFT, command: succeeded, made: 'completed', isTagged: false }, 'tag'],
  ['that is all', { script: SOFT, command: succeeded, made: 'completed' }, 'finish'],
  ['it went well and made nothing', { script: STRICT, command: succeeded }, 'fail', NOTHING],
  ['the same, forgiven', { script: SOFT, command: succeeded, made: 'failed' }, 'fall-back', NOTHING],
  ['it failed', { script: STRICT, command: failed }, 'fail', 'no'],
  ['it failed, whatever it has made', { script: STRICT, command: failed, made: 'completed' }, 'fail', 'no'],
  ['it failed, forgiven', { script: SOFT, command: failed }, 'fall-back', 'no'],
  [
    'it failed, but what it made can be used',
    { script: SOFT, command: failed, made: 'completed' },
    'finish',
    NOTE,
  ],
  ['that is waited for too', { script: SOFT, command: failed, made: 'pending' }, 'none'],
  ['and cannot always', { script: SOFT, command: failed, made: 'failed' }, 'fall-back', 'no'],
  ['once more', { script: TWICE, command: failed, made: 'completed' }, 'retry'],
  ['not twice more', { script: TWICE, command: failed, of: { attempt: 1 } }, 'fall-back', 'no'],
  ['it could not be sent', { script: STRICT, of: { refusal: 'no' } }, 'fail', 'no'],
  ['it could not be sent, once more', { script: TWICE, of: { refusal: 'no' } }, 'retry'],
  ['without a script', { of: { phase: 'snapshots' } }, 'create'],
  ['the schedule has lost its script', {}, 'create'],
  ['copying lasts', { of: { phase: 'snapshots' }, made: 'pending' }, 'none'],
  ['it failed', { of: { phase: 'snapshots' }, made: 'failed' }, 'fail', BROKEN],
  ['it is there', { of: { phase: 'snapshots' }, made: 'completed' }, 'finish'],
  [
    'it is there after all',
    { script: SOFT, of: { phase: 'snapshots', fallback: 'no' }, made: 'completed' },
    'finish',
    NOTE,
  ],
  ['what has ended is over', { of: { end: { atMs: 3 } }, made: 'completed' }, 'none'],
];

test('the next step', () => {
  for (const [what, { of, ...facts }, step, why] of ROWS) {
    const { step: found, ...more } = decide({
      run: { ...RUN, ...of },
      script: undefined,
      command: { state: 'none' },
      made: 'none',
      isTagged: true,
      ...facts,
    });
    assert.deepEqual([found, Object.values(more)[0]], [step, why], what);
  }
});
