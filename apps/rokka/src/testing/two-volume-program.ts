/** The program of two-volume-application.ts. Arguments: where its journal, its ledger and the files are that pause it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must, systemClock } from '@rokka/kernel';

const ENTRY_DIGITS = 10;
const PAUSE_LOOK_MS = 2;

const [journal, ledger, control] = process.argv.slice(2).map((argument) => must(argument));
const [wish, paused] = [path.join(must(control), 'pause'), path.join(must(control), 'paused')];
const files = [path.join(must(journal), 'journal'), path.join(must(ledger), 'ledger')].map((file) =>
  fs.openSync(file, 'w'),
);

for (let entry = 1; ; entry++) {
  for (const file of files) {
    fs.writeSync(file, `${String(entry).padStart(ENTRY_DIGITS, '0')}\n`, 0, 'latin1');
    fs.fdatasyncSync(file);
  }
  if (fs.existsSync(wish)) await pause();
}

async function pause(): Promise<void> {
  fs.writeFileSync(paused, '');
  while (fs.existsSync(wish)) await systemClock.sleep(PAUSE_LOOK_MS);
  fs.rmSync(paused);
}
