/** What can go wrong with a snapshot that its applications take part in. */
import { defineErrors } from '@rokka/kernel';

export const snapshotErrors = defineErrors({
  SNAPSHOTS_OUTSIDE: (server: string, path: string) =>
    `${server} keeps ${path}, which is on no volume of this snapshot: put its volume into the set, or move it there`,
  SNAPSHOTS_SERVER_SILENT: (server: string, why: string) =>
    `${server} has files on the volumes, but cannot be asked (${why}): give the account and password to its kind of writer, or exclude it`,
  SNAPSHOTS_SERVER_UNFIT: (server: string, why: string) =>
    `${server} cannot be brought to a safe point: ${why}`,
  SNAPSHOTS_SERVER_REFUSED: (server: string, request: string, why: string) =>
    `${server} refused ${request}: ${why}; nothing of it is held`,
  SNAPSHOTS_NOT_HELD: (server: string, why: string) =>
    `${server} was not held until the thaw (${why}): the snapshot does not count as consistent with it; take another`,
  SNAPSHOTS_COPY_DEAD: (program: string, log: string) =>
    `${program} did not start on the copy; its log: ${log}`,
  SNAPSHOTS_COPY_OF_ROOT: (directory: string) =>
    `${directory} belongs to root, as whom no copy is started: chown it to the server's account`,
});
