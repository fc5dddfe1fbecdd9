import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLogLine } from './log-line.ts';

test('a line of a session', () => {
  const line =
    '1795401565.123|42|23505|app@shop|ERROR:  duplicate key value violates unique constraint "t_pkey"';
  assert.deepEqual(parseLogLine(line), {
    level: 'error',
    message: 'duplicate key value violates unique constraint "t_pkey"',
    wallMs: 1_795_401_565_123,
    processId: 42,
    sqlState: '23505',
    session: 'app@shop',
  });
});

test('a line of the postmaster has no session', () => {
  const { level, message, processId, session } = parseLogLine('1795401565.000|1|00000|LOG:  ready: yes');
  assert.deepEqual(
    { level, message, processId, session },
    { level: 'log', message: 'ready: yes', processId: 1, session: '' },
  );
});

test('a user name may hold the separator', () => {
  const { level, session } = parseLogLine('1.0|7|00000|a|b@c|WARNING:  there is no transaction in progress');
  assert.deepEqual({ level, session }, { level: 'warning', session: 'a|b@c' });
});

test('lines from before the settings were read', () => {
  const line = '2026-11-23 02:39:25.100 UTC [1] FATAL:  unrecognized configuration parameter "x"';
  assert.deepEqual(parseLogLine(line), {
    level: 'fatal',
    message: 'unrecognized configuration parameter "x"',
  });
});

test('lines that are not PostgreSQL’s, and those that go on', () => {
  const loader = 'postgres: error while loading shared libraries: libicuuc.so.60';
  assert.deepEqual(parseLogLine(loader), { level: 'log', message: loader });
  assert.deepEqual(parseLogLine('\tFROM t'), { level: 'detail', message: 'FROM t' });
});

test('every debug level is debug, and what explains a message is detail', () => {
  assert.equal(parseLogLine('1.0|1|00000|DEBUG3:  x').level, 'debug');
  assert.equal(parseLogLine('1.0|1|00000|STATEMENT:  select 1').level, 'detail');
});
