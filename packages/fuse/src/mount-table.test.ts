import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountTable } from './mount-table.ts';

test('lines of mountinfo, with and without optional fields, and odd names', () => {
  const table = parseMountTable(
    [
      '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
      '98 22 0:39 / /tmp/a\\040b\\134c rw,nosuid shared:3 master:2 - fuse.rokka volume\\040one rw,user_id=0',
      '99 22 0:40 / /tmp/\xc3\xbc rw - fuse.rokka rokka rw',
      '',
    ].join('\n'),
  );
  assert.deepEqual(table, [
    { mountPoint: '/', type: 'ext4', source: '/dev/vda' },
    { mountPoint: '/tmp/a b\\c', type: 'fuse.rokka', source: 'volume one' },
    { mountPoint: '/tmp/ü', type: 'fuse.rokka', source: 'rokka' },
  ]);
});
