/** Tags as a document's text has them, and those that it may not name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTags } from './tag-list.ts';

test('tags are read; what the agent or a service says of a snapshot is refused', () => {
  assert.deepEqual(parseTags('Key=a,Value=1,2;Key=device,Value='), [
    { Key: 'a', Value: '1,2' },
    { Key: 'device', Value: '' },
  ]);
  for (const key of ['AppConsistent', 'Device', 'AwsVssConfig', 'aws:x', 'AWS:x'])
    assert.throws(() => parseTags(`Key=a,Value=1;Key=${key},Value=True`), {
      code: 'ROKKA_TAGS_INVALID',
      message: new RegExp(`${key} is reserved`),
    });
});
