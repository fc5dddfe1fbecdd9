/**
 * The data directory: its layout, its identity and its lock.
 *
 *   rokka.json            format and cluster id
 *   registry.sqlite       cluster state
 *   nodes/<ordinal>/      one storage node each
 *   secrets/              passwords, owner-only
 *   run/                  sockets; its contents matter only while something runs
 *   lock.sqlite           held exclusively by the running supervisor; the kernel lets it go with the process
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Random } from '@rokka/kernel';
import { rokkaErrors } from './errors.ts';

export const DATA_FORMAT = 1;

export class DataDirectory implements Disposable {
  readonly path: string;
  readonly cluster: string;
  readonly #lock: DatabaseSync;

  private constructor(directory: string, cluster: string, lock: DatabaseSync) {
    this.path = directory;
    this.cluster = cluster;
    this.#lock = lock;
  }

  /**
   * Opens the directory for a supervisor, making it where it is missing.
   * @throws ROKKA_DATA_HELD, ROKKA_DATA_VERSION, ROKKA_DATA_FOREIGN, ROKKA_DATA_CORRUPT, ROKKA_DATA_PERMISSION
   */
  static open(directory: string, random: Random): DataDirectory {
    return translated(directory, () => {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      const known = readIdentity(directory);
      if (!known && fs.readdirSync(directory).some((name) => !name.startsWith('lock.sqlite'))) {
        throw rokkaErrors.ROKKA_DATA_FOREIGN([directory]);
      }
      const lock = takeLock(directory);
      for (const part of ['nodes', 'secrets', 'run', 'run/postgres']) {
        fs.mkdirSync(path.join(directory, part), { recursive: true, mode: 0o700 });
      }
      const cluster = known ?? writeIdentity(directory, random.hex(16));
      fs.writeFileSync(path.join(directory, 'run', 'holder'), String(process.pid));
      return new DataDirectory(directory, cluster, lock);
    });
  }

  [Symbol.dispose](): void {
    fs.rmSync(path.join(this.path, 'run', 'holder'), { force: true });
    this.#lock.close();
  }
}

/** Paths inside a data directory, for every process that works on it. */
export const dataPaths = {
  registry: (directory: string) => path.join(directory, 'registry.sqlite'),
  node: (directory: string, ordinal: number) => path.join(directory, 'nodes', String(ordinal)),
  sockets: (directory: string) => path.join(directory, 'run'),
  nodeSocketName: (ordinal: number) => `node-${ordinal}.sock`,
  control: (directory: string) => path.join(directory, 'run', 'control.sock'),
  postgresSockets: (directory: string) => path.join(directory, 'run', 'postgres'),
  password: (directory: string) => path.join(directory, 'secrets', 'postgres-password'),
  log: (directory: string) => path.join(directory, 'rokka.log'),
};

/** The cluster id, or undefined where there is no data directory yet. */
export function readIdentity(directory: string): string | undefined {
  const file = path.join(directory, 'rokka.json');
  if (!fs.existsSync(file)) return undefined;
  let parsed: { format?: unknown; cluster?: unknown };
  try {
    parsed = JSON.parse(fs.readFileSync(file, 'utf8')) as typeof parsed;
  } catch (error) {
    throw rokkaErrors.ROKKA_DATA_CORRUPT([file, 'not JSON'], { cause: error });
  }
  if (parsed.format !== DATA_FORMAT) {
    throw rokkaErrors.ROKKA_DATA_VERSION([directory, String(parsed.format), DATA_FORMAT]);
  }
  if (typeof parsed.cluster !== 'string') throw rokkaErrors.ROKKA_DATA_CORRUPT([file, 'no cluster id']);
  return parsed.cluster;
}

function writeIdentity(directory: string, cluster: string): string {
  const file = path.join(directory, 'rokka.json');
  const fd = fs.openSync(`${file}.new`, 'w', 0o600);
  fs.writeSync(fd, `${JSON.stringify({ format: DATA_FORMAT, cluster })}\n`);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.renameSync(`${file}.new`, file);
  return cluster;
}

function takeLock(directory: string): DatabaseSync {
  const lock = new DatabaseSync(path.join(directory, 'lock.sqlite'));
  try {
    lock.exec('PRAGMA journal_mode = DELETE; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw rokkaErrors.ROKKA_DATA_HELD([directory, holderOf(directory)], { cause: error });
  }
}

function holderOf(directory: string): number {
  try {
    return Number(fs.readFileSync(path.join(directory, 'run', 'holder'), 'utf8'));
  } catch {
    return 0;
  }
}

function translated<T>(directory: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST'].includes(code)) {
      throw rokkaErrors.ROKKA_DATA_PERMISSION([directory, code], { cause: error });
    }
    if (code === 'ENOSPC') throw rokkaErrors.ROKKA_DISK_FULL([directory], { cause: error });
    throw error;
  }
}
