import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { chooseArchive, parseArchive, requireSameArchive } from './archive-choice.ts';

const ENDPOINT = 'http://minio.example:9000';

test('a bucket, with and without a prefix, of AWS and of others', () => {
  assert.equal(parseArchive({}), undefined);
  assert.deepEqual(parseArchive({ archive: 's3://snow' }), { location: 's3://snow' });
  assert.deepEqual(parseArchive({ archive: 's3://snow/a/b.c/' }), { location: 's3://snow/a/b.c' });
  assert.deepEqual(
    parseArchive({ archive: 's3://snow', 'archive-endpoint': `${ENDPOINT}/`, 'archive-region': 'garage' }),
    { location: 's3://snow', endpoint: ENDPOINT, region: 'garage' },
  );
});

test('what is no bucket, no address and no region is refused, and a password is not repeated', () => {
  const archive = 's3://snow';
  const refused: [Parameters<typeof parseArchive>[0], string][] = [
    ...[
      '',
      'snow',
      'file:///snow',
      's3://',
      's3://Snow',
      's3://s',
      's3://snow//a',
      's3://snow/a?b',
      's3:/snow',
    ].map((text): [{ archive: string }, string] => [{ archive: text }, 'ROKKA_BAD_VALUE']),
    ...['minio:9000', 'ftp://minio', `${ENDPOINT}/path`, `${ENDPOINT}?x`, 'http://me:word@minio'].map(
      (text): [{ archive: string; 'archive-endpoint': string }, string] => [
        { archive, 'archive-endpoint': text },
        'ROKKA_BAD_VALUE',
      ],
    ),
    [{ archive, 'archive-region': 'eu central' }, 'ROKKA_BAD_VALUE'],
    [{ 'archive-endpoint': ENDPOINT }, 'ROKKA_BAD_FLAG'],
    [{ 'archive-region': 'eu-central-1' }, 'ROKKA_BAD_FLAG'],
  ];
  for (const [values, code] of refused)
    assert.throws(
      () => parseArchive(values),
      (error) => isCoded(error, code) && !error.message.includes('word'),
      JSON.stringify(values),
    );
});

test('a directory keeps what it was made with; who says less than that says nothing else', () => {
  const own = { ...chooseArchive({ location: 's3://snow/a', endpoint: ENDPOINT }), region: 'eu-west-1' };
  for (const same of [
    { location: 's3://snow/a' },
    { location: 's3://snow/a', region: 'eu-west-1' },
    { location: 's3://snow/a', endpoint: ENDPOINT },
  ])
    requireSameArchive('/data', own, same);
  for (const other of [
    { location: 's3://snow' },
    { location: 's3://snow/a', region: 'eu-west-2' },
    { location: 's3://snow/a', endpoint: 'http://other' },
  ])
    assert.throws(() => requireSameArchive('/data', own, other), { code: 'ROKKA_ARCHIVE_FIXED' });
  assert.throws(() => requireSameArchive('/data', undefined, { location: 's3://snow' }), {
    code: 'ROKKA_ARCHIVE_FIXED',
    message: /a directory of its own/,
  });
  // One that is at AWS does not move elsewhere.
  const { endpoint: _, ...atAws } = own;
  assert.throws(() => requireSameArchive('/data', atAws, own), { code: 'ROKKA_ARCHIVE_FIXED' });
});
