import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { freePortRow, freePorts } from './free-port.ts';

const ALL_OF_A_BLOCK = 19;
const ROW = 5;

/** What another program would be given, to whom the same block comes first. */
function givenElsewhere(): number[] {
  const program = `Object.defineProperty(process, 'pid', { value: ${process.pid} });
    const { freePorts } = await import(${JSON.stringify(import.meta.resolve('./free-port.ts'))});
    console.log(JSON.stringify(await freePorts(${ALL_OF_A_BLOCK})));`;
  const args = ['--no-warnings', '--input-type=module', '-e', program];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as number[];
}

test('a port is given to one program as long as that runs, though nobody listens there', async () => {
  const ports = await freePorts(ALL_OF_A_BLOCK);
  assert.equal(new Set(ports).size, ALL_OF_A_BLOCK);
  const rows = [await freePortRow(ROW), await freePortRow(ROW)];
  const inRows = rows.flatMap((from) => Array.from({ length: ROW }, (_, at) => from + at));
  const others = givenElsewhere();
  const all = [...ports, ...inRows, ...others];
  assert.equal(new Set(all).size, all.length, JSON.stringify({ ports, rows, others }));
});
