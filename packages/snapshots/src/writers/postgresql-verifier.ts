/**
 * Whether PostgreSQL starts on restored data directories, and what it has to redo.
 *
 * Its WAL and tablespaces may be symbolic links to another volume of the set. On the copies these lead to the volumes that they show, which
 * are in use: they are made to lead to the copies first, where the copies' volumes are known. A link that leads elsewhere still is a fault.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { isCoded } from '@rokka/kernel';
import type { Verdict, Verifier, VerifyOptions } from '../verifier.ts';
import { searchDirectories } from './directory-search.ts';
import { isBelow, isPlaced, type PlacedVolume, placeVolumes } from './placement.ts';
import { type RestoredPostgres, tryRestoredPostgres } from './postgresql-restored.ts';

const TABLESPACES = 'pg_tblspc';
const WAL = 'pg_wal';

export const postgresqlVerifier: Verifier = {
  name: 'postgresql',
  async verify(options) {
    await relink(options);
    try {
      return (await tryRestoredPostgres(options)).map(verdictOn);
    } catch (error) {
      if (!isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN') && !isCoded(error, 'SNAPSHOTS_COPY_OF_ROOT'))
        throw error;
      return [{ what: 'PostgreSQL', isClean: false, words: error.message }];
    }
  },
};

function verdictOn({ dataDirectory, recovery }: RestoredPostgres): Verdict {
  const { ready, failure, redoBytes } = recovery;
  const words = ready ? `it starts, after ${redoBytes} bytes of its log` : (failure ?? 'it does not start');
  return { what: `PostgreSQL at ${dataDirectory}`, isClean: ready, words };
}

async function relink({ mountPoints, originals = new Map(), signal }: VerifyOptions): Promise<void> {
  const mounted = mountPoints.map((mountPoint) => ({ mountPoint }));
  for (const volume of await placeVolumes(mounted, signal))
    for await (const { path: directory, files } of searchDirectories(volume, { signal })) {
      if (!files.includes('PG_VERSION')) continue;
      for (const parent of [directory, path.join(directory, TABLESPACES)]) {
        if (!(await isOwnDirectory(parent, volume))) continue;
        const names = parent === directory ? [WAL] : await fs.readdir(parent);
        for (const name of names) await relinkOne(path.join(parent, name), originals);
      }
    }
}

/** A directory of the copy, by a path without links: a link would have the links of another volume changed. */
async function isOwnDirectory(directory: string, volume: PlacedVolume): Promise<boolean> {
  const status = await fs.lstat(directory).catch(() => undefined);
  if (!status?.isDirectory()) return false;
  return isPlaced([volume], { path: await fs.realpath(directory), device: status.dev });
}

/** What is no link stays. A crash in between leaves a copy that is thrown away. */
async function relinkOne(link: string, originals: ReadonlyMap<string, string>): Promise<void> {
  const written = await fs.readlink(link).catch(() => undefined);
  if (written === undefined || !path.isAbsolute(written)) return;
  const target = path.normalize(written);
  for (const [mountPoint, original] of originals) {
    if (!isBelow(original, target)) continue;
    await fs.unlink(link);
    await fs.symlink(path.join(mountPoint, path.relative(original, target)), link);
    return;
  }
}
