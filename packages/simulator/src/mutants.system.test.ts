/** Each deliberate bug is caught by the hunt within its number of seeds; a hunt that misses one lacks something. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { hunt } from './hunt.ts';
import { MUTANTS } from './testing/mutants.ts';

const ROOT = new URL('../../../', import.meta.url);

test('the list is the code: every switch is listed, and every listed one is a switch', () => {
  const files = fs.globSync('packages/{quorum,storage,volume}/src/**/*.ts', { cwd: ROOT });
  const text = files.map((file) => fs.readFileSync(new URL(file, ROOT), 'utf8')).join('\n');
  const switches = [...text.matchAll(/\bmutant\('([^']+)'\)/g)].map((match) => match[1]);
  const listed = MUTANTS.map(({ name }) => name);
  assert.deepEqual([...new Set(switches)].sort(), listed.sort());
  const page = fs.readFileSync(new URL('docs/mutants.md', ROOT), 'utf8');
  for (const name of listed) assert.ok(page.includes(`\`${name}\``), `docs/mutants.md lacks ${name}`);
});

for (const { name, seeds, breaks } of MUTANTS) {
  test(`${name} is caught within ${seeds} seeds`, async (t) => {
    const { broken } = await hunt({ from: 1, seeds, mutants: [name] });
    assert.ok(broken, `${name} went unnoticed for ${seeds} seeds`);
    t.diagnostic(`${name}: seed ${broken.seed}, ${broken.broken?.message}`);
    assert.equal(broken.broken?.invariant, breaks);
  });
}
