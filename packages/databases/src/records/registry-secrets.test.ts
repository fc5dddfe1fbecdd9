/** Passwords of databases that move: two machines with directories of their own, over one registry. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { DatabaseSecrets, SecretFiles, secretFile } from './database-secrets.ts';
import { RegistrySecrets } from './registry-secrets.ts';

class TwoMachines implements Disposable {
  readonly registry = new MemoryRegistry();
  readonly directories = ['one', 'two'].map((name) =>
    fs.mkdtempSync(path.join(os.tmpdir(), `rokka-secrets-${name}-`)),
  );

  secrets(machine: 0 | 1, registry: Registry = this.registry.another()): DatabaseSecrets {
    return new DatabaseSecrets(new RegistrySecrets({ registry, directory: this.directories[machine] ?? '' }));
  }

  /** As a server or a client of the machine reads it. */
  file(machine: 0 | 1, name: string): string | undefined {
    return new SecretFiles(this.directories[machine] ?? '').read(name).password;
  }

  [Symbol.dispose](): void {
    for (const directory of this.directories) fs.rmSync(directory, { recursive: true });
  }
}

test('what one machine has said the other one knows, and has in a file once it has asked', async () => {
  using machines = new TwoMachines();
  const [one, two] = [machines.secrets(0), machines.secrets(1)];
  await one.begin('shop', 'first');
  assert.deepEqual([machines.file(0, 'shop'), machines.file(1, 'shop')], ['first', undefined]);
  assert.equal(await two.ensure('shop', new SeededRandom(1)), 'first');
  assert.equal(machines.file(1, 'shop'), 'first');
  await two.change('shop', 'second');
  assert.deepEqual([...(await one.changing())], ['shop']);
  assert.deepEqual([await one.read('shop'), await one.before('shop')], ['second', 'first']);
  assert.ok(fs.existsSync(`${secretFile(machines.directories[0] ?? '', 'shop')}.before`));
  await one.wasSet('shop', 'second');
  assert.deepEqual([await two.before('shop'), [...(await two.changing())]], [undefined, []]);
  await two.remove('shop');
  assert.equal(await one.read('shop'), undefined);
  for (const directory of machines.directories) assert.deepEqual(fs.readdirSync(directory), []);
});

test('an earlier password of the name, in a file that was left on a machine, is nobody’s', async () => {
  using machines = new TwoMachines();
  await machines.secrets(0).begin('shop', 'of the one that is gone');
  await machines.secrets(1).remove('shop');
  assert.equal(machines.file(0, 'shop'), 'of the one that is gone');
  await machines.secrets(1).begin('shop', 'of the next one');
  assert.equal(await machines.secrets(0).ensure('shop', new SeededRandom(1)), 'of the next one');
  assert.equal(machines.file(0, 'shop'), 'of the next one');
});

test('that of main may be older than its key: the file counts until there is one', async () => {
  using machines = new TwoMachines();
  for (const directory of machines.directories)
    new SecretFiles(directory).write('main', { password: 'drawn' });
  assert.equal(await machines.secrets(0).ensure('main', new SeededRandom(1)), 'drawn');
  await machines.secrets(0).change('main', 'another');
  assert.equal(await machines.secrets(1).read('main'), 'another');
  assert.equal(machines.file(1, 'main'), 'another');
});

test('two changes at once both count: none is written over what it has not seen', async () => {
  using machines = new TwoMachines();
  const { registry } = machines;
  await machines.secrets(0).begin('shop', 'first');
  let others = 1;
  const late: Registry = {
    async get<T>(key: string) {
      const entry = await registry.get<T>(key);
      if (others-- > 0) await machines.secrets(1).change('shop', 'second');
      return entry;
    },
    list: (prefix) => registry.list(prefix),
    put: (key, value, revision) => registry.put(key, value, revision),
    remove: (key, revision) => registry.remove(key, revision),
    async [Symbol.asyncDispose]() {},
  };
  await machines.secrets(0, late).wasSet('shop', 'first');
  const read = machines.secrets(0);
  assert.deepEqual([await read.read('shop'), await read.before('shop')], ['second', 'first']);
});
