/**
 * A program with its journal on one volume and its ledger on another: each entry is journaled, and on the disk, before it is entered. As long as
 * nobody cuts them apart, the ledger has all that the journal has, or all but the last entry; while it is paused it has all.
 *
 * It is paused by a file, and says by another one that it is: so scripts can hold it that know nothing else.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';

const ENTRY_CHARACTERS = 11;

export const PROGRAM = path.join(import.meta.dirname, 'two-volume-program.ts');

/** Executables for the agent's directory of scripts, and what they speak for. */
export function scriptsFor(
  control: string,
  directories: readonly string[],
): Readonly<Record<string, string>> {
  const [wish, paused] = [path.join(control, 'pause'), path.join(control, 'paused')];
  return {
    'pre-application': `#!/bin/sh\ntouch ${wish}\nfor i in $(seq 500); do [ -e ${paused} ] && exit 0; sleep 0.01; done\nexit 1\n`,
    'speaks-for': `${directories.join('\n')}\n`,
    'post-application': `#!/bin/sh\nrm -f ${wish}\n`,
  };
}

/** The last entry of each, as on the volumes that are mounted there. */
export function entriesOf(of: { journal: string; ledger: string }): { journal: number; ledger: number } {
  const last = (directory: string, name: string) =>
    Number(fs.readFileSync(path.join(directory, name), 'latin1').slice(0, ENTRY_CHARACTERS));
  return { journal: last(of.journal, 'journal'), ledger: last(of.ledger, 'ledger') };
}
