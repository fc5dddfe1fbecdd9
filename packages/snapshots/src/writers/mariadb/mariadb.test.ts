import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpPorts, unixListeners } from '../server-processes.ts';
import { settingPaths } from './files.ts';
import { damageIn, innodbRecovery, preparedTransactions } from './restored.ts';

test('what the settings keep elsewhere is found, what lies in the data directory is part of it', () => {
  const variables = {
    datadir: '/db/',
    innodb_data_home_dir: '',
    innodb_data_file_path: 'ibdata1:12M;/big/ibdata2:1G:autoextend',
    innodb_log_group_home_dir: './',
    innodb_undo_directory: '../undo',
    aria_log_dir_path: '/db/aria',
    log_bin_basename: '/logs/bin',
    relay_log_basename: '',
  };
  assert.deepEqual(settingPaths(variables), ['/big', '/undo', '/logs']);
});

test('the log of a restored server is understood', () => {
  const log = [
    'InnoDB: Starting crash recovery from checkpoint LSN=4779276',
    'InnoDB: End of log at LSN=6601639',
    'InnoDB: 2 transaction(s) which must be rolled back or cleaned up in total 29584 row operations to undo',
    'Found 1 prepared transaction(s) in InnoDB',
    "[ERROR] mariadbd: Table './t/m' is marked as crashed and should be repaired",
  ].join('\n');
  assert.deepEqual(innodbRecovery(log), { fromLsn: 4779276, toLsn: 6601639, rolledBack: 2 });
  assert.equal(innodbRecovery('ready for connections'), null);
  assert.equal(preparedTransactions(log), 1);
  assert.equal(damageIn(log).length, 1);
});

test('the sockets that a process listens on are told from those of others', () => {
  const unix = [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000000000000000: 00000002 00000000 00010000 0001 01 42 /run/a b.sock',
    '0000000000000000: 00000003 00000000 00000000 0001 03 43 /run/a b.sock',
    '0000000000000000: 00000002 00000000 00010000 0001 01 44 @abstract',
    '0000000000000000: 00000002 00000000 00010000 0001 01 45 /run/other',
  ].join('\n');
  assert.deepEqual(unixListeners(unix, new Set(['42', '43', '44'])), ['/run/a b.sock']);
  const tcp = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 42 1 0 100 0 0 10 0',
    '   1: 0100007F:18EB 0100007F:8000 01 00000000:00000000 00:00000000 00000000   104        0 43 1 0 100 0 0 10 0',
  ].join('\n');
  assert.deepEqual(tcpPorts(tcp, new Set(['42', '43'])), [6379]);
});
