import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { connectionString, passwordFile, serviceFile, writeClientFiles } from './connection.ts';

const TARGET = { host: '127.0.0.1', port: 5433, user: 'postgres', password: 'p:\\w', database: 'app' };

test('what is put into a URI comes out of it', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  // A path of one or two dots means a place and not a name, escaped or not (URL standard, "double-dot path segment").
  const name = text.filter((one) => one !== '.' && one !== '..');
  fc.assert(
    fc.property(text, text, name, (user, password, database) => {
      const url = new URL(connectionString({ ...TARGET, user, password, database }));
      assert.equal(decodeURIComponent(url.username), user);
      assert.equal(decodeURIComponent(url.password), password);
      assert.equal(decodeURIComponent(url.pathname.slice(1)), database);
      assert.equal(url.host, '127.0.0.1:5433');
    }),
    { numRuns: 200 },
  );
});

test('a unix socket and an IPv6 address', () => {
  assert.equal(
    connectionString({ ...TARGET, host: '/run/ro kka' }),
    'postgresql://postgres:p%3A%5Cw@/app?host=%2Frun%2Fro%20kka&port=5433',
  );
  const { password: _, ...open } = TARGET;
  assert.equal(connectionString({ ...open, host: '::1' }), 'postgresql://postgres@[::1]:5433/app');
});

test('a password file escapes what separates its fields', () => {
  assert.equal(passwordFile([TARGET]), '127.0.0.1:5433:*:postgres:p\\:\\\\w\n');
  assert.throws(() => passwordFile([{ ...TARGET, password: 'a\nb' }]), { code: 'DATABASE_NAME_INVALID' });
});

test('a service file cannot be made to hold another line', () => {
  const options = { name: 'rokka', target: TARGET, passwordFile: '/x/pgpass' };
  assert.equal(
    serviceFile(options),
    '[rokka]\nhost=127.0.0.1\nport=5433\nuser=postgres\ndbname=app\npassfile=/x/pgpass\n',
  );
  const target = { ...TARGET, database: 'app\nhost=evil' };
  assert.throws(() => serviceFile({ ...options, target }), { code: 'DATABASE_NAME_INVALID' });
});

test('client files are for their owner only, and replaced as a whole', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-client-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const write = (password: string) =>
    writeClientFiles({ directory, service: 'rokka', targets: [{ ...TARGET, password }] });
  write('one');
  const files = write('two');
  assert.match(fs.readFileSync(files.passwordFile, 'utf8'), /:two\n$/);
  for (const file of Object.values(files)) assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(directory).sort(), ['pg_service.conf', 'pgpass']);
});
