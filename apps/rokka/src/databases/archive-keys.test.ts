import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { readArchiveKeys } from './archive-keys.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-keys-'));
after(() => fs.rmSync(directory, { recursive: true }));
const file = path.join(directory, 'archive.ini');
const VARIABLES = { AWS_ACCESS_KEY_ID: 'ID', AWS_SECRET_ACCESS_KEY: 'se/cr+et=' };

function write(text: string): void {
  fs.writeFileSync(file, text);
}

test('of the variables, where there is no file', () => {
  fs.rmSync(file, { force: true });
  const own = { accessKeyId: 'ID', secretAccessKey: 'se/cr+et=' };
  assert.deepEqual(readArchiveKeys(file, VARIABLES), own);
  assert.deepEqual(readArchiveKeys(file, { ...VARIABLES, AWS_SESSION_TOKEN: '' }), own);
  assert.deepEqual(readArchiveKeys(file, { ...VARIABLES, AWS_SESSION_TOKEN: 'lent' }), {
    ...own,
    sessionToken: 'lent',
  });
});

test('the file wins: its default profile, whatever stands around it', () => {
  write(`# mine
[other]
aws_access_key_id = OTHER
aws_secret_access_key = other
[ default ]
AWS_ACCESS_KEY_ID=FILE\r
  aws_secret_access_key = a/b+c=  
; aws_session_token = none
region = eu-central-1
[last]
aws_session_token = last
`);
  const own = { accessKeyId: 'FILE', secretAccessKey: 'a/b+c=' };
  assert.deepEqual(readArchiveKeys(file, { ...VARIABLES, AWS_SESSION_TOKEN: 'lent' }), own);
  write('[default]\naws_access_key_id = X\naws_secret_access_key = y\naws_session_token = z');
  const all = { accessKeyId: 'X', secretAccessKey: 'y', sessionToken: 'z' };
  assert.deepEqual(readArchiveKeys(file, {}), all);
});

test('what is not there is told with the way out, and without what is there', () => {
  const refused = (environment: Record<string, string>) =>
    assert.throws(
      () => readArchiveKeys(file, environment),
      ({ code, message }) => {
        assert.equal(code, 'ROKKA_ARCHIVE_KEYS');
        assert.match(message, /AWS_ACCESS_KEY_ID.*archive\.ini/);
        assert.doesNotMatch(message, /hidden/);
        return true;
      },
    );
  write('[default]\naws_secret_access_key = hidden\n[other]\naws_access_key_id = X');
  refused(VARIABLES);
  write('');
  refused(VARIABLES);
  fs.rmSync(file);
  refused({});
  refused({ AWS_SECRET_ACCESS_KEY: 'hidden' });
  fs.mkdirSync(file);
  refused(VARIABLES);
});
