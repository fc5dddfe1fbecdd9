/**
 * What the memory classes of instances come to here: a page cache for the volume, and PostgreSQL's own cache. Modest, since all
 * databases of a cluster share a machine: a class says which database gets more than another, not how much AWS would give it.
 */
import type { DatabaseChange, DatabaseRecord } from '@rokka/databases';

/** By the last word of a class; whatever is not here counts as the last one. */
const MEBIBYTES: Readonly<Record<string, number>> = {
  nano: 64,
  micro: 64,
  small: 64,
  medium: 96,
  large: 128,
  xlarge: 256,
  '2xlarge': 512,
};
const MEBIBYTES_MAX = 1024;

const CLASS = /^db\.[a-z][a-z0-9-]*\.([a-z0-9]+)$/;

/** Offered by name; others of their shape are taken as well. */
export const OFFERED_CLASSES = [
  'db.t4g.medium',
  'db.t4g.large',
  'db.r8g.large',
  'db.r8g.xlarge',
  'db.r8g.2xlarge',
  'db.r8g.4xlarge',
] as const;

export const isInstanceClass = (text: string) => text.length <= 64 && CLASS.test(text);

/** For `Databases.change`; its settings are those of `settings` with what the class says. */
export function sizedFor(
  instanceClass: string,
  { settings }: Pick<DatabaseRecord, 'settings'>,
): Required<Pick<DatabaseChange, 'cacheMiB' | 'settings'>> {
  const mebibytes = MEBIBYTES[CLASS.exec(instanceClass)?.[1] ?? ''] ?? MEBIBYTES_MAX;
  return { cacheMiB: mebibytes, settings: { ...settings, shared_buffers: `${mebibytes}MB` } };
}

export function isSizedFor(
  instanceClass: string,
  database: Pick<DatabaseRecord, 'settings' | 'cacheMiB'>,
): boolean {
  const { cacheMiB, settings } = sizedFor(instanceClass, database);
  return database.cacheMiB === cacheMiB && database.settings.shared_buffers === settings.shared_buffers;
}
