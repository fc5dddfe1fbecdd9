/** A program that writes each number to a journal first and then to a ledger, both synchronously, and never stops: ledger ≤ journal ≤ ledger + 1. */
import * as fs from 'node:fs';
import { must } from '@rokka/kernel';

const [journal, ledger] = process.argv.slice(2).map((file) => fs.openSync(must(file), 'w'));
const write = (file: number | undefined, n: number) => {
  fs.writeSync(must(file), `${String(n).padStart(10, '0')}\n`, 0);
  fs.fdatasyncSync(must(file));
};
for (let n = 1; ; n++) {
  write(journal, n);
  write(ledger, n);
  if (n === 1) console.log('writing');
}
