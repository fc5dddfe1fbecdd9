import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsed } from './list.ts';

test('mount points, comments, and how many sets are kept', () => {
  assert.deepEqual(parsed('# ours\n\n/srv/one\n  /srv/two/ \n/srv/one\nkeep 3\n'), {
    text: { mountPoints: ['/srv/one', '/srv/two'], keep: 3 },
  });
  assert.deepEqual(parsed('').text, { mountPoints: [], keep: 7 });
});

test('a line that says nothing is told, not passed over', () => {
  assert.match(parsed('/srv/one\nsrv/two').problem ?? '', /"srv\/two" is no mount point/);
  for (const line of ['keep', 'keep many', 'keep -1'])
    assert.match(parsed(line).problem ?? '', /no mount point/);
  for (const line of ['keep 0', 'keep 1001']) assert.match(parsed(line).problem ?? '', /at least 1 set/);
  const many = Array.from({ length: 65 }, (_, at) => `/srv/${at}`).join('\n');
  assert.match(parsed(many).problem ?? '', /more than 64/);
});
