/** What can go wrong while applications are brought to a safe point, held and let go. */
import { defineErrors } from '@rokka/kernel';

export const snapshotErrors = defineErrors({
  SNAPSHOTS_LATE: (who: string, step: string, ms: number) => `${who} did not ${step} within ${ms} ms`,
  SNAPSHOTS_STOPPED: (why: string) => `the snapshot was stopped: ${why}`,
  SNAPSHOTS_VETO: (writer: string, why: string) => `${writer} cannot be held: ${why}`,
  SNAPSHOTS_NOT_HELD: (writer: string, why: string) =>
    `${writer} was not held all the time (${why}): the snapshot is no better than that of a machine that lost power; make another one`,
  SNAPSHOTS_UNREACHABLE: (what: string, why: string) => `${what} is there but cannot be reached: ${why}`,
  SNAPSHOTS_OUTSIDE: (what: string, part: string) =>
    `${part} belongs to ${what} but is on no volume of the snapshot, which would not be whole: add the volume that it is on`,
  SNAPSHOTS_HELPER_ENDED: (helper: string, how: string) =>
    `the process that holds ${helper} has ended (${how}), and what it held is free again; make another snapshot`,
  SNAPSHOTS_SCRIPT_FAILED: (script: string, how: string, output: string) =>
    `the script ${script} ${how}${output === '' ? '' : `; it said: ${output}`}`,
  SNAPSHOTS_SCRIPT_UNSAFE: (script: string, why: string) =>
    `${script} is not run, ${why}: chown it to root or to the account of this process, and chmod go-w`,
  SNAPSHOTS_JOURNAL_GARBAGE: (file: string) =>
    `${file} does not say which scripts have to be run: run the post scripts by hand, then delete it`,
  SNAPSHOTS_APPLICATION_STAYS: (what: string, why: string) => `${what} does not stop: ${why}`,
  SNAPSHOTS_APPLICATION_DOWN: (what: string, why: string) => `${what} does not run: ${why}`,
  SNAPSHOTS_APPLICATION_LINGERS: () =>
    'it was told to stop and has not ended; it is started when it has, if it does not serve',
  SNAPSHOTS_APPLICATIONS_DOWN: (all: string, notes: string) =>
    `not all that was stopped runs again: ${all}; mend that or start it by hand, and take what shall not run any more out of ${notes}`,
  SNAPSHOTS_VOLUMES_MIXED: (applications: string, before: string, after: string) =>
    `${applications}: not started, for neither all volumes that were there are mounted (${before}) nor all that were to replace them (${after}): detach what does not belong, and attach the others; they are started then`,
  SNAPSHOTS_STOPPED_GARBAGE: (file: string) =>
    `${file} does not say which applications were stopped: start them by hand, then delete it`,
  SNAPSHOTS_SCRIPT_ALONE: (script: string, other: string) =>
    `the script ${script} has no ${other} beside it, so what it stops would stay down: write that one as well`,
  SNAPSHOTS_PROGRAM_FAILED: (program: string, how: string) => `${program} ${how}`,
  SNAPSHOTS_RESTORED_BROKEN: (what: string, why: string) => `${what}, restored, is not usable: ${why}`,
  SNAPSHOTS_SERVER_SILENT: (server: string, why: string) =>
    `${server} has files on the volumes, but cannot be asked (${why}): give the account and password to its kind of writer, or exclude it`,
  SNAPSHOTS_SERVER_UNFIT: (server: string, why: string) =>
    `${server} cannot be brought to a safe point: ${why}`,
  SNAPSHOTS_SERVER_REFUSED: (server: string, request: string, why: string) =>
    `${server} refused ${request}: ${why}; nothing of it is held`,
  SNAPSHOTS_PROGRAM_MISSING: (program: string, what: string) =>
    `${program} is not on this machine, so ${what} was not started: install it, in the version that wrote the files`,
  SNAPSHOTS_COPY_OF_ROOT: (directory: string) =>
    `${directory} belongs to root, as whom no copy is started: chown it to the server's account`,
  SNAPSHOTS_LOCAL_LIST: (file: string, why: string) =>
    `${file}, the list of local file systems, is not used: ${why}`,
  SNAPSHOTS_LOCAL_UNFIT: (mountPoint: string, why: string, wayOut: string) =>
    `${mountPoint} cannot be in a snapshot: ${why}; ${wayOut}, or take it out of the list of local file systems`,
  SNAPSHOTS_LOCAL_STORE: (directory: string, why: string) =>
    `copies of local file systems cannot lie below ${directory}: ${why}; chown it to root, and chmod go-w`,
  SNAPSHOTS_LOCAL_WATCHDOG: (why: string) =>
    `the process that thaws local file systems whatever happens is not there: ${why}`,
  SNAPSHOTS_LOCAL_FOREIGN: (mountPoint: string) =>
    `${mountPoint} was frozen by somebody else, and is left so: make another snapshot when it is thawed (fsfreeze --unfreeze ${mountPoint})`,
  SNAPSHOTS_LOCAL_UNFROZEN: (mountPoint: string, why: string) => `${mountPoint} could not be frozen: ${why}`,
  SNAPSHOTS_LOCAL_LOOSE: (why: string) =>
    `local file systems were not frozen until all was copied: ${why}; make another snapshot`,
  SNAPSHOTS_LOCAL_STAYS_FROZEN: (what: string) =>
    `a local file system may be frozen still, and could not be thawed: ${what}; thaw it by hand (fsfreeze --unfreeze MOUNTPOINT)`,
  SNAPSHOTS_LOCAL_COPY: (what: string, why: string) => `${what} was not copied: ${why}`,
  SNAPSHOTS_LOCAL_JOURNAL: (file: string) =>
    `${file} does not say which local file systems may be frozen still: thaw them by hand (fsfreeze --unfreeze MOUNTPOINT), then delete it`,
});
