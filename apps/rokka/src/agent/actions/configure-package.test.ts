/** What a step installs and uninstalls, and that nothing else does. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import type { JsonObject } from '@rokka/services';
import type { ActionInput } from '../action.ts';
import { Packages, WRITERS_PACKAGE, WRITERS_VERSION } from '../packages.ts';
import { configurePackage } from './configure-package.ts';

test('only Uninstall uninstalls, and only Install installs', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-packages-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const packages = new Packages(directory);
  const { signal } = new AbortController();
  const run = (inputs: JsonObject) =>
    configurePackage(packages).run({
      delivery: {} as ActionInput['delivery'],
      inputs: { name: WRITERS_PACKAGE, ...inputs },
      signal,
      ending: signal,
      say: () => {},
    });
  const actions: JsonObject[] = [{}, { action: '' }, { action: 'install' }, { action: 'Remove' }];
  for (const isInstalled of [false, true]) {
    assert.ok((await run({ action: isInstalled ? 'Install' : 'Uninstall' })).succeeded);
    const before = packages.installed();
    assert.deepEqual(before, isInstalled ? { [WRITERS_PACKAGE]: WRITERS_VERSION } : {});
    for (const inputs of actions) {
      const { succeeded, stderr } = await run(inputs);
      assert.equal(succeeded, false, JSON.stringify(inputs));
      assert.match(stderr, /^action is ".*"; what can be done is Install or Uninstall$/);
      assert.deepEqual(packages.installed(), before);
    }
  }
});
