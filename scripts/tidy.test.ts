/**
 * The repository's own lint: what no general linter knows. Each rule names the file and the way out.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, existsSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';

/** From the top of the house to its ground; a package imports only what stands to its right. */
const LAYERS = [
  'rokka',
  'simulator',
  'services',
  'gateway',
  'snapshots',
  'databases',
  'fuse',
  'filesystem',
  'archive',
  'volume',
  'storage',
  'registry',
  'trust',
  'transport',
  'quorum',
  'kernel',
];
const FILE_LINES_MAX = 500;

const root = path.resolve(import.meta.dirname, '..');
const sources = globSync(['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'], { cwd: root }).sort();
const text = (file: string) => readFileSync(path.join(root, file), 'utf8');
const isTest = (file: string) => /\.(test|fuzz|bench)\.ts$/.test(file) || file.includes('/testing/');
const packageOf = (file: string) => file.split('/')[1];

function importsOf(file: string): string[] {
  return [...text(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]);
}

test('there is something to look at', () => {
  assert.ok(sources.length > 20);
});

test('imports go down only, and through the front door of a package', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const from = packageOf(file);
    assert.ok(LAYERS.includes(from), `${file}: package ${from} has no place in LAYERS`);
    for (const name of importsOf(file)) {
      if (name.startsWith('.')) {
        const target = path.normalize(path.join(path.dirname(file), name));
        if (target.split('/')[1] !== from) wrong.push(`${file}: ${name} leaves its package; import @rokka/…`);
        continue;
      }
      const match = /^@rokka\/([^/]+)(\/.*)?$/.exec(name);
      if (!match) continue;
      const to = match[1];
      // What tests of several packages stand on has a door of its own, for tests.
      if (match[2] && !(match[2] === '/testing' && isTest(file)))
        wrong.push(`${file}: ${name} reaches behind the package's index`);
      if (LAYERS.indexOf(to) <= LAYERS.indexOf(from))
        wrong.push(`${file}: ${name} is an import that goes up`);
      const manifest = JSON.parse(text(`${file.split('/').slice(0, 2).join('/')}/package.json`)) as {
        dependencies?: Record<string, string>;
      };
      if (!manifest.dependencies?.[`@rokka/${to}`]) wrong.push(`${file}: ${name} is not in its package.json`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the protocol core does no input or output', () => {
  const wrong = sources
    .filter((file) => packageOf(file) === 'quorum' && !isTest(file))
    .filter((file) => importsOf(file).some((name) => name.startsWith('node:')));
  assert.deepEqual(wrong, []);
});

test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
  const wrong = sources
    .map((file) => [file, text(file).split('\n').length] as const)
    .filter(([, lines]) => lines > FILE_LINES_MAX);
  assert.deepEqual(wrong, []);
});

test('clocks, timers and random numbers come from the kernel', () => {
  const banned = /\b(Date\.now|performance\.now|setTimeout|setInterval|Math\.random|new Date\(\))/;
  const wrong = sources
    .filter((file) => packageOf(file) !== 'kernel' && !isTest(file))
    .flatMap((file) =>
      text(file)
        .split('\n')
        .map((line, index) => ({ line, at: `${file}:${index + 1}` }))
        .filter(({ line }) => banned.test(line) && !/^\s*(\*|\/\/)/.test(line))
        .map(({ at }) => at),
    );
  assert.deepEqual(wrong, []);
});

test('every source file opens with its purpose', () => {
  const wrong = sources.filter(
    (file) => !isTest(file) && !/^(#!.*\n)?(\/\*\*|\/\/|import|export)/.test(text(file)),
  );
  assert.deepEqual(wrong, []);
});

test('links in the pages lead somewhere', () => {
  const pages = globSync(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: root });
  assert.ok(pages.length > 0);
  const wrong: string[] = [];
  for (const page of pages) {
    for (const match of text(page).matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)) {
      const target = match[1];
      if (/^[a-z]+:/.test(target)) continue;
      if (!existsSync(path.join(root, path.dirname(page), target))) wrong.push(`${page}: ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the tests that the pages name are there', () => {
  const tests = globSync(['packages/**/*.test.ts', 'apps/**/*.test.ts', 'scripts/*.test.ts'], {
    cwd: root,
    exclude: ['**/node_modules/**'],
  });
  const named = globSync(['*.md', 'docs/*.md'], { cwd: root }).flatMap((page) =>
    [...text(page).matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, name]) => ({ page, name })),
  );
  assert.ok(named.some(({ page }) => page === 'docs/promises.md'));
  // By the end of its path: pages leave out what goes without saying.
  const wrong = named.filter(({ name }) => !tests.some((file) => `/${file}`.endsWith(`/${name}`)));
  assert.deepEqual(wrong, []);
});

test('no path of a private machine stands in the tree', () => {
  const files = [...sources, ...globSync(['*.md', 'docs/**/*.md', 'scripts/*', '.ci/*'], { cwd: root })];
  const wrong = files.filter(
    (file) => file !== 'scripts/tidy.test.ts' && /(^|[^.\w])\/(work|farm)\//m.test(text(file)),
  );
  assert.deepEqual(wrong, []);
});
