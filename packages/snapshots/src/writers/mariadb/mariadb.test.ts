import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpPorts, unixListeners } from '../server-processes.ts';
import { copiesAmong } from './copies.ts';
import { settingPaths } from './files.ts';
import { damageIn, innodbRecovery, preparedTransactions } from './restored.ts';
import { dataFilePath, pageBytesOf } from './tablespace.ts';

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

test('parts of a data directory are found elsewhere where it is plain whose they are', () => {
  const found = (directories: Readonly<Record<string, readonly string[]>>) =>
    copiesAmong(new Map(Object.entries(directories))).map(({ directory, home, elsewhere, settings, fault }) =>
      fault === undefined ? { directory, home, elsewhere, settings } : { directory, fault },
    );
  const system = { '/a/mysql': ['db.frm'] };
  const rest = ['ibdata1', 'aria_log_control'];
  assert.deepEqual(found({ '/a': [...rest, 'ib_logfile0'], ...system, '/b': ['x'] }), [
    { directory: '/a', home: '/a', elsewhere: [], settings: [] },
  ]);
  assert.deepEqual(
    found({ '/a': ['aria_log_control'], ...system, '/b': ['ib_logfile0', 'undo001'], '/c': ['ibdata1'] }),
    [
      {
        directory: '/a',
        home: '/c',
        elsewhere: ['/c', '/b'],
        settings: [
          '--innodb-data-home-dir=/c',
          '--innodb-log-group-home-dir=/b',
          '--innodb-undo-directory=/b',
        ],
      },
    ],
  );
  const [several] = found({ '/a': rest, ...system, '/b': ['ib_logfile0'], '/c': ['ib_logfile0'] });
  assert.match(several?.fault ?? '', /ib_logfile0 is not in it, but in \/b, \/c/);
  const [none] = found({ '/a': rest, ...system });
  assert.match(none?.fault ?? '', /ib_logfile0 is not in it, nor anywhere else/);
  const [headless] = found({ '/a': rest, '/a/mysql': [] });
  assert.match(headless?.fault ?? '', /no directory mysql/);
});

test('what the files of the system tablespace say of it is understood', () => {
  const header = (flags: number) => {
    const bytes = Buffer.alloc(58);
    bytes.writeUInt32BE(flags, 54);
    return bytes;
  };
  // Those with a checksum of the whole page, and those before.
  assert.deepEqual(
    [0x15, 0x13, 0x17].map((flags) => pageBytesOf(header(flags))),
    [16_384, 4_096, 65_536],
  );
  assert.deepEqual(
    [0, 0xc0, 0x1c0].map((flags) => pageBytesOf(header(flags))),
    [16_384, 4_096, 65_536],
  );
  assert.deepEqual([header(0x1f), Buffer.alloc(3)].map(pageBytesOf), [16_384, 16_384]);
  assert.equal(dataFilePath([12, 34]), 'ibdata1:12;ibdata2:34:autoextend');
});
