/**
 * InnoDB's own links: a table that was made with DATA DIRECTORY has a file NAME.isl, in which stands the whole path of its data. The server
 * of a copy sees the copy at the paths of the original (restored-server.ts), so such a path stays as it is where it leads into the set.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { snapshotErrors } from '../../errors.ts';
import type { SoundOptions } from '../copy-links.ts';
import { obeying } from '../obeying.ts';
import { isBelow } from '../placement.ts';
import { readPlainFile } from '../plain-file.ts';

/** @throws SNAPSHOTS_RESTORED_BROKEN where one leads out of the set */
export async function requireLinkFiles(
  dataDirectory: string,
  { what, volumes, signal }: SoundOptions,
): Promise<void> {
  const within = [...volumes.mountPoints, ...(volumes.originals?.values() ?? [])];
  for (const database of await obeying(fs.readdir(dataDirectory, { withFileTypes: true }), signal)) {
    const directory = path.join(dataDirectory, database.name);
    // One behind a link has been found to be in the set.
    if (!(await obeying(fs.stat(directory), signal)).isDirectory()) continue;
    for (const name of await obeying(fs.readdir(directory), signal)) {
      if (!name.endsWith('.isl')) continue;
      const target = (await obeying(readPlainFile(path.join(directory, name)), signal))?.trim() ?? '';
      if (within.some((root) => isBelow(root, path.normalize(target)))) continue;
      const why = `${path.join(directory, name)} leads to ${target}, which is not restored: restore that volume as well`;
      throw snapshotErrors.SNAPSHOTS_RESTORED_BROKEN([what, why]);
    }
  }
}
