/** Tells from PostgreSQL's last words why it ended. Its messages are in English: lc_messages is ours. */
import type { CodedError } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import type { ConfinedExit } from './confinement.ts';
import type { LogLine } from './log-line.ts';

type Explain = (why: string) => CodedError;

/** The first pattern that matches any of the last lines; the most telling stand first. */
const PATTERNS: readonly (readonly [RegExp, Explain])[] = [
  [/No space left on device|Disk quota exceeded/, (why) => databaseErrors.DATABASE_OUT_OF_SPACE([why])],
  [
    /could not (bind|create).*(Address already in use)|lock file ".*\.s\.PGSQL.*" already exists/,
    (why) => databaseErrors.DATABASE_PORT_USED([why, 'another program']),
  ],
  [
    /unrecognized configuration parameter|invalid value for parameter|is outside the valid range|parameter ".*" (cannot|requires|must)|syntax error in file|configuration file ".*" contains errors|invalid list syntax in parameter|WAL archival cannot be enabled|max_wal_senders/,
    (why) => databaseErrors.DATABASE_SETTING_INVALID([why]),
  ],
  [
    /could not (map anonymous|create) shared memory|[Oo]ut of memory|Cannot allocate memory/,
    (why) => databaseErrors.DATABASE_OUT_OF_MEMORY([why]),
  ],
  [
    /could not locate a valid checkpoint record|could not read file "global\/pg_control"|invalid (primary )?checkpoint record|calculated CRC checksum does not match|invalid checksum in control file|could not redo|WAL ends before/,
    (why) => databaseErrors.DATABASE_DIRECTORY_DAMAGED([why]),
  ],
  [
    /data directory ".*" has (wrong ownership|invalid permissions)|database files are incompatible|is not a valid data directory|could not access directory|Permission denied/,
    (why) => databaseErrors.DATABASE_DIRECTORY_REFUSED([why]),
  ],
];

/** The reason as a coded error; `otherwise` makes it where the words say nothing that we know. */
export function explainFailure(
  lines: readonly LogLine[],
  otherwise: (why: string) => CodedError,
): CodedError {
  for (const [pattern, explain] of PATTERNS) {
    const line = lines.find(({ message }) => pattern.test(message));
    if (line) return explain(line.message);
  }
  const worst = lines.findLast(({ level }) => level === 'panic' || level === 'fatal');
  return otherwise(worst?.message ?? lines.at(-1)?.message ?? 'it said nothing');
}

/** Such as `exit status 1` or `SIGKILL`. */
export function describeExit({ status, signal }: ConfinedExit): string {
  return signal ?? `exit status ${status}`;
}
