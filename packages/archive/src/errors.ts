import { defineErrors } from '@rokka/kernel';

export const archiveErrors = defineErrors({
  ARCHIVE_STORE_FAILED: (what: string, why: string) =>
    `the object store cannot ${what}: ${why}; the archive goes on when it can`,
  ARCHIVE_NO_OBJECT: (key: string) => `the object store has no ${key}`,
  ARCHIVE_DAMAGED: (key: string, why: string) =>
    `${key} in the object store is damaged: ${why}; what needs it cannot be restored`,
  ARCHIVE_GAP: (volume: string, pg: number, lsn: number) =>
    `the archive of volume ${volume} cannot give LSN ${lsn}: history of protection group ${pg} is missing; choose a later point`,
  ARCHIVE_BAD_LOG: (why: string) => `the log cannot be archived: ${why}; it is asked for again`,
  ARCHIVE_NOT_YET: (volume: string, lsn: number, has: number) =>
    `the archive of volume ${volume} is at LSN ${has}, ${lsn} was asked for: wait for the next upload`,
  ARCHIVE_EMPTY: (volume: string) => `there is no archive of volume ${volume}`,
  ARCHIVE_VERSION: (key: string, version: number) =>
    `${key} is of version ${version}, this program knows version 1: use a newer one`,
});
