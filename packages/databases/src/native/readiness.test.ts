import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAnswer } from './readiness.ts';

function errorMessage(sqlState: string): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0Mthe database system is starting up\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

test('a request for a password means that it takes connections', () => {
  assert.equal(readAnswer(Buffer.from('R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0', 'latin1')), 'accepting');
});

test('"cannot connect now" does not, any other error does', () => {
  assert.equal(readAnswer(errorMessage('57P03')), 'starting');
  assert.equal(readAnswer(errorMessage('53300')), 'accepting');
});

test('a part of an answer is none', () => {
  const whole = errorMessage('57P03');
  for (let length = 0; length < whole.length; length++)
    assert.equal(readAnswer(whole.subarray(0, length)), undefined);
});
