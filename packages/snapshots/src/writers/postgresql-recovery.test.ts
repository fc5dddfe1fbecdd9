import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePidFile } from './postgresql-cluster.ts';
import { parseRecovery } from './postgresql-recovery.ts';

const LOG = `2026-11-29 04:13:08.123 UTC [77] LOG:  database system was interrupted; last known up at 2026-11-29 04:13:06 UTC
2026-11-29 04:13:08.223 UTC [77] LOG:  database system was not properly shut down; automatic recovery in progress
2026-11-29 04:13:08.224 UTC [77] LOG:  redo starts at 0/FFFFFFF0
2026-11-29 04:13:08.225 UTC [77] LOG:  redo done at 1/00000028 system usage: CPU: user: 0.00 s, system: 0.00 s, elapsed: 0.00 s
2026-11-29 04:13:08.226 UTC [70] LOG:  database system is ready to accept connections
`;

test('a recovery is read from the log, across the four gigabytes that an LSN writes apart', () => {
  assert.deepEqual(parseRecovery(LOG), { interrupted: true, redoBytes: 56, ready: true, failure: undefined });
});

test('a clean start and a failed one', () => {
  const clean =
    'LOG:  database system was shut down at …\nLOG:  database system is ready to accept connections\n';
  assert.deepEqual(parseRecovery(clean), {
    interrupted: false,
    redoBytes: 0,
    ready: true,
    failure: undefined,
  });
  const failed = parseRecovery('LOG:  x\nPANIC:  could not locate a valid checkpoint record\nLOG:  y\n');
  assert.equal(failed.failure, 'PANIC:  could not locate a valid checkpoint record');
  assert.equal(failed.ready, false);
});

test('postmaster.pid: the port and where the socket is', () => {
  const text = '4711\n/srv/pg\n1764388800\n5433\n/var/run/postgresql\nlocalhost\n  1234 56\nready   \n';
  assert.deepEqual(parsePidFile(text), { port: 5433, socketDirectory: '/var/run/postgresql' });
  assert.deepEqual(parsePidFile('4711\n/srv/pg\n1764388800\n5433\n\n'), { port: 5433, socketDirectory: '' });
  assert.equal(parsePidFile('4711\n/srv/pg\n'), undefined);
});
