/**
 * The password of each database's superuser, in files that only their owner reads.
 *
 *   <name>-password          the one that shall be; of `main`: postgres-password
 *   <name>-password.before   the one that the server has, while it has not been told of the other yet
 *
 * Where databases move between machines the registry has them instead, `secrets/<name>`, and the files are copies for clients and
 * servers of the machine that reads them here (registry-secrets.ts).
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

export interface Secret {
  /** Absent where none was written yet. */
  readonly password?: string | undefined;
  readonly before?: string | undefined;
}

/** Where secrets are kept. */
export interface SecretStore {
  get(name: string): Promise<Secret>;
  /** By one write where the store can; else by two, the one before first. */
  change(name: string, change: (known: Secret) => Secret): Promise<void>;
  /** Those that have one before. */
  changing(): Promise<ReadonlySet<string>>;
}

export class DatabaseSecrets {
  readonly #store: SecretStore;

  /** @param store a directory of files, or what keeps them elsewhere */
  constructor(store: string | SecretStore) {
    this.#store = typeof store === 'string' ? new SecretFiles(store) : store;
  }

  /** The one that shall be; undefined where none was written yet. */
  async read(name: string): Promise<string | undefined> {
    return (await this.#store.get(name)).password;
  }

  /** For a database that is about to be made: whatever an earlier one of the name left is forgotten. @throws DATABASE_NAME_INVALID */
  async begin(name: string, password: string): Promise<void> {
    demandPassword(password);
    await this.#store.change(name, () => ({ password }));
  }

  /** The same where there is none. A database is made with it, so it is kept. */
  async ensure(name: string, random: Random): Promise<string> {
    if ((await this.read(name)) === undefined) {
      const password = generatePassword(random);
      await this.#store.change(name, (known) =>
        known.password === undefined ? { ...known, password } : known,
      );
    }
    return must(await this.read(name));
  }

  /** Another one shall be. @throws DATABASE_NAME_INVALID */
  async change(name: string, password: string): Promise<void> {
    demandPassword(password);
    await this.#store.change(name, ({ password: current, before = current }) => ({ password, before }));
  }

  /** Those of which the server may not have been told yet. */
  changing(): Promise<ReadonlySet<string>> {
    return this.#store.changing();
  }

  /** The one that the server has if it does not have that of `read`. */
  async before(name: string): Promise<string | undefined> {
    return (await this.#store.get(name)).before;
  }

  /** The server has this one now. */
  async wasSet(name: string, password: string): Promise<void> {
    await this.#store.change(name, (known) =>
      known.password === password ? { password } : { ...known, before: password },
    );
  }

  async remove(name: string): Promise<void> {
    await this.#store.change(name, () => ({}));
  }
}

const BEFORE = '.before';
const SUFFIX = '-password';

export class SecretFiles implements SecretStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async get(name: string): Promise<Secret> {
    return this.read(name);
  }

  read(name: string): Secret {
    const file = secretFile(this.#directory, name);
    const [password, before] = [readText(file), readText(file + BEFORE)];
    return { ...(password !== undefined && { password }), ...(before !== undefined && { before }) };
  }

  async change(name: string, change: (known: Secret) => Secret): Promise<void> {
    this.write(name, change(this.read(name)));
  }

  /** Writes what is different, the one before first. */
  write(name: string, { password, before }: Secret): void {
    const known = this.read(name);
    const file = secretFile(this.#directory, name);
    if (before !== known.before) set(file + BEFORE, before);
    if (password !== known.password) set(file, password);
  }

  async changing(): Promise<ReadonlySet<string>> {
    const tail = SUFFIX + BEFORE;
    const names = fs.existsSync(this.#directory) ? fs.readdirSync(this.#directory) : [];
    const found = names.filter((file) => file.endsWith(tail)).map((file) => file.slice(0, -tail.length));
    return new Set(found.map((name) => (name === MAIN_FILE ? MAIN : name)));
  }
}

/** Main had its secret before there were others. */
const MAIN_FILE = 'postgres';

export function secretFile(directory: string, name: string): string {
  return path.join(directory, `${name === MAIN ? MAIN_FILE : name}${SUFFIX}`);
}

function set(file: string, text: string | undefined): void {
  if (text === undefined) removeDurably(file);
  else writeDurably(file, `${text}\n`);
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
