import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { ClusterAuthority } from './authority.ts';
import { makeKey } from './certificates.ts';
import { readIdentityFile, writeIdentityFile } from './identity-file.ts';

test('an identity comes back from its file, with both authorities; what does not fit is refused', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trust-'));
  try {
    const clock = new VirtualClock();
    const authority = await ClusterAuthority.make({ file: `${directory}/ca.json`, cluster: 'petals', clock });
    await authority.rotate();
    const identity = await authority.issue({ role: 'node', id: 'n1', hosts: ['10.0.0.7'] });
    const file = path.join(directory, 'identity.pem');
    writeIdentityFile(file, identity);
    assert.deepEqual(readIdentityFile(file), identity);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    // What a crash left beside it does no harm, nor does a file that others could read meanwhile.
    fs.writeFileSync(`${file}.new`, 'half', { mode: 0o644 });
    writeIdentityFile(file, identity);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readIdentityFile(file), identity);

    const { certificate, key, authorities } = identity;
    for (const wrong of [
      '',
      'nonsense',
      certificate + authorities,
      key + certificate,
      key + authorities,
      makeKey() + certificate + authorities,
      key + certificate + certificate,
      key + certificate.replace('M', '*') + authorities,
    ]) {
      fs.writeFileSync(file, wrong);
      assert.throws(() => readIdentityFile(file), { code: 'TRUST_FILE_UNREADABLE' }, wrong);
    }
    fs.chmodSync(file, 0o604);
    assert.throws(() => readIdentityFile(file), { code: 'TRUST_FILE_OPEN', message: /0604/ });
    assert.throws(() => readIdentityFile(`${file}.none`), { code: 'TRUST_FILE_MISSING' });
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
