/**
 * Where a MariaDB server keeps what belongs to it: the data directory, and whatever its settings, symbolic links, InnoDB's link
 * files (.isl) and mounts have put elsewhere. Temporary files and logs for people do not belong to it.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { isBelow } from '../placement.ts';

/** `SHOW GLOBAL VARIABLES`. */
export type Variables = Readonly<Record<string, string>>;

/** Directories or files outside the data directory that the settings name, as the server's paths. */
export function settingPaths(variables: Variables): string[] {
  const data = variables['datadir'];
  const home = path.resolve(data, variables['innodb_data_home_dir'] ?? '');
  const tablespaces = (variables['innodb_data_file_path'] ?? '')
    .split(';')
    .map((entry) => entry.split(':')[0])
    .filter((name) => name !== '')
    .map((name) => path.dirname(path.resolve(home, name)));
  const directories = ['innodb_log_group_home_dir', 'innodb_undo_directory', 'aria_log_dir_path'].map(
    (name) => variables[name] ?? '',
  );
  const files = ['log_bin_basename', 'relay_log_basename']
    .map((name) => variables[name] ?? '')
    .filter((name) => name !== '')
    .map((name) => path.dirname(name));
  const all = [...tablespaces, ...directories, ...files].map((name) => path.resolve(data, name));
  return [...new Set(all)].filter((name) => !isBelow(path.resolve(data), name));
}

/** The data directory first; `root` stands before the server's paths to make them ours. */
export async function mariadbPaths(variables: Variables, root: string): Promise<string[]> {
  const data = root + path.resolve(variables['datadir']);
  const found = new Set([data, ...settingPaths(variables).map((name) => root + name)]);
  const { dev } = await fs.stat(data);
  const add = async (link: string) => void found.add(root === '' ? await fs.realpath(link) : link);
  for (const database of await fs.readdir(data, { withFileTypes: true })) {
    const directory = path.join(data, database.name);
    if (database.isSymbolicLink()) await add(directory);
    // A file may go between the listing and the look: then it does not count.
    const status = await fs.stat(directory).catch(() => undefined);
    if (!status?.isDirectory()) continue;
    if (status.dev !== dev) found.add(directory);
    for (const table of await fs.readdir(directory, { withFileTypes: true })) {
      const file = path.join(directory, table.name);
      if (table.isSymbolicLink()) await add(file);
      if (table.name.endsWith('.isl')) found.add(root + (await fs.readFile(file, 'utf8')).trim());
    }
  }
  return [...found];
}
