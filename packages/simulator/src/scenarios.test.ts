/**
 * The scenarios of `packages/simulator/scenarios/`: each script is played on real nodes and writers, and its whole compact trace
 * is compared with the text beside it. After a change that is meant to change them, read the difference and write them anew:
 *
 *     ROKKA_UPDATE_SCENARIOS=1 node --test packages/simulator/src/scenarios.test.ts
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { playScenario, type Scenario } from './stage.ts';

const DIRECTORY = new URL('../scenarios/', import.meta.url);
const UPDATE = process.env['ROKKA_UPDATE_SCENARIOS'] === '1';

for (const file of fs.readdirSync(DIRECTORY).sort()) {
  if (!file.endsWith('.ts')) continue;
  const { scenario } = (await import(new URL(file, DIRECTORY).href)) as { scenario: Scenario };
  test(`${file.slice(0, 2)} ${scenario.title} (${scenario.source})`, async () => {
    const expectation = new URL(file.replace(/\.ts$/, '.txt'), DIRECTORY);
    const trace = await playScenario(scenario);
    if (UPDATE) fs.writeFileSync(expectation, trace);
    assert.equal(trace, fs.readFileSync(expectation, 'utf8'));
  });
}
