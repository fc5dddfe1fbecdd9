import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { machineWriters } from './machine-writers.ts';

test('applications are held for one command at a time', () => {
  const state = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-writers-'));
  const writers = machineWriters({ scripts: path.join(state, 'scripts'), state, clock: new VirtualClock() });
  {
    using _ = writers.lease();
    assert.throws(() => writers.lease(), { code: 'ROKKA_WRITERS_BUSY' });
  }
  writers.lease()[Symbol.dispose]();
  fs.rmSync(state, { recursive: true });
});
