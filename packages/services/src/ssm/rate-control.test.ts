/** How many may begin, and how many may fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concurrencyMax, errorsMax, isRate, mayBegin, roundsOf } from './rate-control.ts';

test('a rate is a number or a percentage', () => {
  for (const rate of ['0', '1', '50', '0%', '7%', '10%', '100%', '1000']) assert.ok(isRate(rate), rate);
  for (const rate of ['', '-1', '01', '1.5', '101%', '010%', '%', '10 %', 'all', '10%%', '99999999'])
    assert.ok(!isRate(rate), rate);
});

test('errors are rounded down, concurrency up and never to none', () => {
  assert.equal(errorsMax('10%', 50), 5);
  assert.equal(errorsMax('10%', 9), 0);
  assert.equal(errorsMax('100%', 7), 7);
  assert.equal(errorsMax('3', 50), 3);
  assert.equal(concurrencyMax('10%', 50), 5);
  assert.equal(concurrencyMax('10%', 9), 1);
  assert.equal(concurrencyMax('1%', 3), 1);
  assert.equal(concurrencyMax('50', 3), 50);
  assert.equal(concurrencyMax('50%', 0), 1);
});

test('each round has twice as many as the one before, up to the most', () => {
  const rounds: number[] = [];
  for (let ended = 0; rounds.length < 7;) {
    let running = 0;
    while (mayBegin({ running, ended, errors: 0, errorsMax: 0, concurrencyMax: 20 })) running++;
    rounds.push(running);
    ended += running;
  }
  assert.deepEqual(rounds, [1, 2, 4, 8, 16, 20, 20]);
});

test('rounds until all have begun', () => {
  const rows = [
    [0, 1, 0],
    [1, 1, 1],
    [2, 1, 2],
    [3, 3, 2],
    [7, 7, 3],
    [8, 8, 4],
    [8, 2, 5],
  ];
  for (const [targets, most, rounds] of rows)
    assert.equal(roundsOf({ targets, concurrencyMax: most }), rounds, `${targets} by ${most}`);
});

test('none begins after one error more than may be', () => {
  const of = { running: 0, ended: 9, errorsMax: 5, concurrencyMax: 50 };
  assert.ok(mayBegin({ ...of, errors: 5 }));
  assert.ok(!mayBegin({ ...of, errors: 6 }));
});
