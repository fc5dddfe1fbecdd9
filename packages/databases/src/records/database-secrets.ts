/**
 * The password of each database's superuser, in files that only their owner reads.
 *
 *   <name>-password          the one that shall be; of `main`: postgres-password
 *   <name>-password.before   the one that the server has, while it has not been told of the other yet
 *
 * Invariant: the server has one of the two, so whoever carries a change out can always log in; unless a person changed
 * the password in the server itself.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must, removeDurably, writeDurably, type Random } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { generatePassword } from '../native/initialise.ts';
import { MAIN } from './database-record.ts';

export class DatabaseSecrets {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  file(name: string): string {
    return path.join(this.#directory, `${name === MAIN ? 'postgres' : name}-password`);
  }

  /** The one that shall be; undefined where none was written yet. */
  read(name: string): string | undefined {
    return readText(this.file(name));
  }

  /** For a database that is about to be made: whatever an earlier one of the name left is forgotten. */
  begin(name: string, password: string): void {
    demandPassword(password);
    removeDurably(this.#before(name));
    writeDurably(this.file(name), `${password}\n`);
  }

  /** The same where there is none. A database is made with it, so it is kept. */
  ensure(name: string, random: Random): string {
    if (this.read(name) === undefined) writeDurably(this.file(name), `${generatePassword(random)}\n`);
    return must(this.read(name));
  }

  /** Another one shall be. @throws DATABASE_NAME_INVALID */
  change(name: string, password: string): void {
    demandPassword(password);
    const current = this.read(name);
    if (current !== undefined && readText(this.#before(name)) === undefined)
      writeDurably(this.#before(name), `${current}\n`);
    writeDurably(this.file(name), `${password}\n`);
  }

  /** Whether the server may not have been told yet. */
  isChanging(name: string): boolean {
    return fs.existsSync(this.#before(name));
  }

  /** The one that the server has if it does not have that of `read`. */
  before(name: string): string | undefined {
    return readText(this.#before(name));
  }

  /** The server has this one now. */
  wasSet(name: string, password: string): void {
    if (this.read(name) === password) removeDurably(this.#before(name));
    else writeDurably(this.#before(name), `${password}\n`);
  }

  remove(name: string): void {
    removeDurably(this.#before(name));
    removeDurably(this.file(name));
  }

  #before(name: string): string {
    return `${this.file(name)}.before`;
  }
}

function demandPassword(password: string): void {
  // oxlint-disable-next-line no-control-regex
  if (password === '' || password !== password.trim() || /[\0-\x1f\x7f]/.test(password))
    throw databaseErrors.DATABASE_NAME_INVALID([
      'the password',
      '…',
      'it has at least one character, none of them a control character, and no space at its ends',
    ]);
}

/** Undefined where it is not there, or empty. */
function readText(file: string): string | undefined {
  if (!fs.existsSync(file)) return undefined;
  const text = fs.readFileSync(file, 'utf8').trim();
  return text === '' ? undefined : text;
}
