/**
 * How clients find a database: connection URIs, and the files with which psql(1) and every program on libpq connect without
 * asking for a password (libpq, sections "The Password File" and "The Connection Service File").
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { databaseErrors } from '../errors.ts';

export interface ConnectionTarget {
  /** A name or an address, or the absolute path of the directory of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
}

/** Understood by libpq and by node-postgres. */
export function connectionString(target: ConnectionTarget): string {
  const { host, port, user, password, database } = target;
  const who = password === undefined ? encode(user) : `${encode(user)}:${encode(password)}`;
  if (host.startsWith('/'))
    return `postgresql://${who}@/${encode(database)}?host=${encode(host)}&port=${port}`;
  const where = host.includes(':') ? `[${host}]` : encode(host);
  return `postgresql://${who}@${where}:${port}/${encode(database)}`;
}

/** encodeURIComponent leaves a few characters that a shell or a word processor takes amiss. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Lines of a password file; the host of a unix socket is its directory. */
export function passwordFile(targets: readonly ConnectionTarget[]): string {
  const escape = (field: string) => field.replaceAll(/[\\:]/g, (mark) => `\\${mark}`);
  return targets
    .filter(({ password }) => password !== undefined)
    .map(({ host, port, user, password }) => {
      for (const field of [host, user, password ?? '']) requireOneLine('the password file', field);
      // Any database of the server: the password is the user's.
      return `${[host, String(port)].map(escape).join(':')}:*:${[user, password ?? ''].map(escape).join(':')}\n`;
    })
    .join('');
}

/** A service `name`, for `psql service=name`; values stand as they are, there is no quoting. */
export function serviceFile(options: {
  name: string;
  target: ConnectionTarget;
  passwordFile: string;
}): string {
  const { name, target } = options;
  const { host, port, user, database } = target;
  const fields = { host, port: String(port), user, dbname: database, passfile: options.passwordFile };
  const lines = Object.entries(fields).map(([field, value]) => {
    requireOneLine('the service file', value);
    return `${field}=${value}\n`;
  });
  return `[${name}]\n${lines.join('')}`;
}

export interface ClientFiles {
  /** For PGPASSFILE. */
  readonly passwordFile: string;
  /** For PGSERVICEFILE. */
  readonly serviceFile: string;
}

/**
 * Writes `pgpass` and `pg_service.conf` into `directory`, readable by their owner only (libpq ignores a password file that
 * others can read). The service leads to the first target.
 *
 * @throws DATABASE_NAME_INVALID
 */
export function writeClientFiles(options: {
  directory: string;
  service: string;
  targets: readonly [ConnectionTarget, ...ConnectionTarget[]];
}): ClientFiles {
  const directory = path.resolve(options.directory);
  const files = {
    passwordFile: path.join(directory, 'pgpass'),
    serviceFile: path.join(directory, 'pg_service.conf'),
  };
  const service = serviceFile({
    name: options.service,
    target: options.targets[0],
    passwordFile: files.passwordFile,
  });
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  replaceFile(files.passwordFile, passwordFile(options.targets));
  replaceFile(files.serviceFile, service);
  return files;
}

/** By a rename: a client that reads at this moment sees the old file or the new one. */
function replaceFile(file: string, text: string): void {
  const fresh = `${file}.new`;
  fs.rmSync(fresh, { force: true });
  fs.writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' });
  fs.renameSync(fresh, file);
}

function requireOneLine(where: string, value: string): void {
  if (/[\0\r\n]/.test(value))
    throw databaseErrors.DATABASE_NAME_INVALID([where, value, 'it has more than one line']);
}
