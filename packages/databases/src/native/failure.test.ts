import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseErrors } from '../errors.ts';
import { describeExit, explainFailure } from './failure.ts';
import { parseLogLine } from './log-line.ts';

const explain = (...lines: string[]) =>
  explainFailure(
    lines.map((line) => parseLogLine(line)),
    (why) => databaseErrors.DATABASE_POSTGRES_FAILED(['exit status 1', why]),
  );

/** As PostgreSQL 14 to 18 print them. */
const WORDS: readonly (readonly [string, string])[] = [
  ['FATAL:  unrecognized configuration parameter "fulll_page_writes"', 'DATABASE_SETTING_INVALID'],
  ['FATAL:  invalid value for parameter "max_connections": "many"', 'DATABASE_SETTING_INVALID'],
  [
    'FATAL:  5 is outside the valid range for parameter "shared_buffers" (16 .. 1073741823)',
    'DATABASE_SETTING_INVALID',
  ],
  ['FATAL:  configuration file "/mnt/rokka/etc/postgresql.conf" contains errors', 'DATABASE_SETTING_INVALID'],
  ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', 'DATABASE_PORT_USED'],
  ['FATAL:  could not map anonymous shared memory: Cannot allocate memory', 'DATABASE_OUT_OF_MEMORY'],
  ['FATAL:  data directory "/mnt/rokka/data/pgdata" has wrong ownership', 'DATABASE_DIRECTORY_REFUSED'],
  ['PANIC:  could not locate a valid checkpoint record at 0/1000028', 'DATABASE_DIRECTORY_DAMAGED'],
  ['PANIC:  could not write to file "pg_wal/xlogtemp.20": No space left on device', 'DATABASE_OUT_OF_SPACE'],
];

test('PostgreSQL’s words become codes', () => {
  for (const [words, code] of WORDS)
    assert.equal(explain(words, 'LOG:  database system is shut down').code, code);
});

test('the worst of what it said stands where nothing is known', () => {
  const error = explain('LOG:  starting', 'PANIC:  something new', 'LOG:  database system is shut down');
  assert.equal(error.code, 'DATABASE_POSTGRES_FAILED');
  assert.equal(error.message, 'PostgreSQL did not start (exit status 1): something new');
  assert.match(explain().message, /it said nothing/);
});

test('how it ended', () => {
  assert.equal(describeExit({ status: 1, signal: undefined }), 'exit status 1');
  assert.equal(describeExit({ status: undefined, signal: 'SIGKILL' }), 'SIGKILL');
});
