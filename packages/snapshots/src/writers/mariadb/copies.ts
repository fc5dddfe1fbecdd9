/**
 * Where restored volumes have MariaDB's data: by the names of its files, since the settings are not the copy's to say.
 *
 * Parts of a data directory may be on another volume, where a setting of the original had put them. They are looked for in the set; where
 * it is not plain whose they are nothing is guessed.
 */
import * as path from 'node:path';
import type { VerifyOptions } from '../../verifier.ts';
import { searchDirectories } from '../directory-search.ts';
import { placeVolumes } from '../placement.ts';

export interface MariadbCopy {
  readonly what: string;
  readonly directory: string;
  /** Where InnoDB's system tablespace is. */
  readonly home: string;
  /** Directories elsewhere that have parts of it. */
  readonly elsewhere: readonly string[];
  /** Settings that say where. */
  readonly settings: readonly string[];
  /** Why it is not started. */
  readonly fault?: string;
}

/** What a server cannot go without, and the setting that puts it elsewhere. Undo logs need not have files of their own. */
const PARTS = [
  { file: 'ibdata1', setting: 'innodb-data-home-dir', isNeeded: true },
  { file: 'ib_logfile0', setting: 'innodb-log-group-home-dir', isNeeded: true },
  { file: 'aria_log_control', setting: 'aria-log-dir-path', isNeeded: true },
  { file: 'undo001', setting: 'innodb-undo-directory', isNeeded: false },
] as const;

/** A database of its own in every data directory, and a table that every version of MariaDB has in it. */
const SYSTEM_DATABASE = 'mysql';
const SYSTEM_TABLE = 'db.frm';

export async function findMariadb({ mountPoints, signal }: VerifyOptions): Promise<MariadbCopy[]> {
  const mounted = mountPoints.map((mountPoint) => ({ mountPoint }));
  const seen = new Map<string, readonly string[]>();
  for (const volume of await placeVolumes(mounted, signal))
    for await (const { path: directory, files } of searchDirectories(volume, { signal }))
      seen.set(directory, files);
  return copiesAmong(seen);
}

/** @param seen the names of the regular files of each directory */
export function copiesAmong(seen: ReadonlyMap<string, readonly string[]>): MariadbCopy[] {
  const has = (directory: string, file: string) => seen.get(directory)?.includes(file) ?? false;
  const all = [...seen.keys()];
  const isData = (directory: string) => has(path.join(directory, SYSTEM_DATABASE), SYSTEM_TABLE);
  const homes = all.filter((at) => !isData(at) && PARTS.some(({ file }) => has(at, file)));
  const copies = all.filter(isData).map((directory): MariadbCopy => {
    const settings: string[] = [];
    const elsewhere = new Set<string>();
    for (const { file, setting, isNeeded } of PARTS) {
      if (has(directory, file)) continue;
      const [home, ...others] = homes.filter((at) => has(at, file));
      if (home !== undefined && others.length === 0) {
        settings.push(`--${setting}=${home}`);
        elsewhere.add(home);
      } else if (isNeeded || home !== undefined) {
        const where =
          home === undefined ? 'nor anywhere else in the set' : `but in ${[home, ...others].join(', ')}`;
        return {
          ...named(directory),
          fault: `its ${file} is not in it, ${where}: it cannot be told which is its`,
        };
      }
    }
    const home = all.find((at) => settings.includes(`--${PARTS[0].setting}=${at}`)) ?? directory;
    return { ...named(directory), home, elsewhere: [...elsewhere], settings };
  });
  const taken = new Set(copies.flatMap(({ elsewhere }) => elsewhere));
  // What has both is no mere home of a part.
  const headless = homes.filter((at) => !taken.has(at) && has(at, 'ibdata1') && has(at, 'aria_log_control'));
  const fault = `it has no directory ${SYSTEM_DATABASE} with ${SYSTEM_TABLE}: it is not whole, or not MariaDB's`;
  return [...copies, ...headless.map((at) => ({ ...named(at), fault }))];
}

const named = (directory: string) => ({
  what: `MariaDB at ${directory}`,
  directory,
  home: directory,
  elsewhere: [],
  settings: [],
});
