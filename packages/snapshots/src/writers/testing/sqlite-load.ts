/** A program that writes to a SQLite database, one row a transaction, and says the number of each one that is committed. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const [file, journalMode] = process.argv.slice(2);
fs.mkdirSync(path.dirname(file), { recursive: true });
const database = new DatabaseSync(file, { timeout: 300_000 });
database.exec(
  `PRAGMA journal_mode=${journalMode}; CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, pad)`,
);
const insert = database.prepare(`INSERT INTO t (pad) VALUES (randomblob(3000))`);
process.stdin.on('end', () => process.exit(0)).resume();
function next(): void {
  const { lastInsertRowid } = insert.run();
  process.stdout.write(`${lastInsertRowid}\n`);
  setImmediate(next);
}
next();
