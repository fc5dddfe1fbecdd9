import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Spin } from './spin.ts';

/** A clock that moves by 10 µs each time that somebody looks. */
function clock() {
  const at = { ms: 0, looks: 0 };
  return { at, nowMs: () => (at.looks++, (at.ms += 0.01)) };
}

test('it waits until what it waits for is there, and no longer than was said', () => {
  const { at, nowMs } = clock();
  const spin = new Spin({ microseconds: 100, processors: 2, nowMs });
  assert.equal(
    spin.until(() => at.ms > 0.05),
    true,
  );
  const beganMs = at.ms;
  assert.equal(
    spin.until(() => false),
    false,
  );
  assert.ok(at.ms - beganMs > 0.1 && at.ms - beganMs < 0.14, `${at.ms - beganMs} ms`);
});

test('where it waits in vain it stops, looks now and then, and begins again where that pays', () => {
  const { at, nowMs } = clock();
  const spin = new Spin({ microseconds: 100, processors: 2, nowMs });
  const isTried = (isThere: boolean) => {
    const before = at.looks;
    let looks = 0;
    // Never at once: that is no wait.
    const found = spin.until(() => isThere && looks++ > 0);
    assert.equal(found, isThere && at.looks > before);
    return at.looks > before;
  };
  const tries = (count: number, isThere: boolean) =>
    Array.from({ length: count }, () => isTried(isThere)).filter(Boolean).length;
  assert.equal(tries(100, true), 100);
  assert.equal(tries(16, false), 16);
  assert.equal(tries(320, false), 40);
  const begun = tries(100, true);
  assert.ok(begun >= 93 && begun < 100, `${begun} of 100`);
});

test('where one wait of seven is in vain it goes on, and where one of two is it does not', () => {
  for (const [of, least, most] of [
    [7, 700, 700],
    [2, 0, 300],
  ]) {
    const { at, nowMs } = clock();
    const spin = new Spin({ microseconds: 100, processors: 2, nowMs });
    let tried = 0;
    for (let wait = 0; wait < 700; wait++) {
      const before = at.looks;
      let looks = 0;
      spin.until(() => wait % of > 0 && looks++ > 0);
      if (at.looks > before) tried++;
    }
    assert.ok(tried >= least && tried <= most, `one of ${of} in vain: ${tried} of 700`);
  }
});

test('on one processor nobody waits awake', () => {
  const spin = new Spin({ microseconds: 1e9, processors: 1 });
  let looks = 0;
  assert.equal(
    spin.until(() => looks++ > 0),
    false,
  );
  assert.equal(looks, 1);
});

test('a word of another thread is seen', { timeout: 30_000 }, async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const code = "require('node:worker_threads').workerData[0] = 1";
  const worker = new Worker(code, { eval: true, workerData: words });
  try {
    const spin = new Spin({ microseconds: 20_000_000, processors: 2 });
    assert.equal(
      spin.until(() => Atomics.load(words, 0) === 1),
      true,
    );
  } finally {
    await worker.terminate();
  }
});
