import { defineErrors } from '@rokka/kernel';

export const rokkaErrors = defineErrors({
  ROKKA_UNKNOWN_COMMAND: (name: string) => `there is no command ${name}; rokka help lists them`,
  ROKKA_BAD_FLAG: (why: string) => `${why}; rokka help lists the flags`,
  ROKKA_BAD_VALUE: (flag: string, value: string, want: string) => `--${flag} ${value}: ${want}`,
  ROKKA_DATA_HELD: (path: string, pid: number) =>
    `${path} is held by ${pid > 0 ? `process ${pid}` : 'another process'}; stop it (rokka stop --data ${path}) or choose another --data`,
  ROKKA_DATA_VERSION: (path: string, found: string, own: string) =>
    `${path} has format ${found}, this program reads ${own}; use the program that made it, or another --data`,
  ROKKA_DATA_FOREIGN: (path: string) =>
    `${path} holds files that are not Rokka's; choose an empty directory with --data`,
  ROKKA_DATA_CORRUPT: (path: string, why: string) =>
    `${path}: ${why}; restore it, or start anew with another --data`,
  ROKKA_DATA_PERMISSION: (path: string, why: string) =>
    `${path}: ${why}; choose another --data or mend its owner`,
  ROKKA_DISK_FULL: (path: string) => `no space left on the disk of ${path}; free some and start again`,
  ROKKA_NOT_RUNNING: (path: string) => `nothing runs on ${path}; start it with rokka up --data ${path}`,
  ROKKA_STARTING: (path: string, pid: number) =>
    `process ${pid} is just starting or ending on ${path}; ask again in a moment`,
  ROKKA_CONTROL_FAILED: (path: string, why: string) =>
    `what runs on ${path} did not answer: ${why}; look at ${path}/rokka.log`,
  ROKKA_NODE_MISSING: (path: string, node: string) =>
    `${path} has nothing of node ${node}, which the cluster knows there: mount its disk; if that data is gone for good, another node has to take its place`,
  ROKKA_NODES_MISSING: (paths: string, databases: string, ordinals: string) =>
    `without what was at ${paths} too few copies are left of ${databases}: mount the disk and start again; if it is gone for good, rokka up --gone ${ordinals} goes on with what can still be read`,
  ROKKA_COPIES_LOST: (databases: string, paths: string) =>
    `too few copies are left of ${databases}: what was at ${paths} was written off; bring that back and start again, or restore into another --data`,
  ROKKA_NODE_NOT_GONE: (ordinal: number, path: string) =>
    `node ${ordinal} has its data, at ${path}: leave it out of --gone; rokka node replace ${ordinal} takes it out of the cluster`,
  ROKKA_NO_ZONE: (zone: string, zones: string) => `there is no zone ${zone}; the zones are ${zones}`,
  ROKKA_NO_NODE: (ordinal: number) => `there is no node ${ordinal}; rokka node list names them`,
  ROKKA_NODE_GONE: (ordinal: number) =>
    `node ${ordinal} is gone for good; add another one to its zone (rokka node add)`,
  ROKKA_NO_SPARE: (ordinal: number, zone: string) =>
    `zone ${zone} has no node that could take over from node ${ordinal}; add one (rokka node add --zone ${zone}), or use rokka node replace ${ordinal}`,
  ROKKA_NO_HEAD: (ordinal: number) =>
    `the database is not open, so nobody knows what node ${ordinal} holds: try again when rokka status shows the head`,
  ROKKA_NODE_NEEDED: (ordinal: number, groups: number, databases: string) =>
    `node ${ordinal} still holds segments of ${groups} protection groups (of ${databases}); drain it first (rokka node drain ${ordinal}) and wait until rokka node list shows none; a database that is stopped hands none over`,
  ROKKA_PEM_UNREADABLE: (path: string, why: string) => `${path}: ${why}; name a file in PEM that can be read`,
  ROKKA_NO_DATABASE: (cluster: string) =>
    `cluster ${cluster} has no database in this registry: start its first machine before a standby, with the same --registry`,
  ROKKA_DATABASE_FAILED: (name: string, why: string) =>
    `database ${name} is not there yet: ${why}. It is tried again and again; rokka database list shows how it goes`,
  ROKKA_DATABASE_LATE: (name: string, phase: string, ms: number) =>
    `database ${name} is still ${phase} after ${ms} ms; it goes on, rokka database list shows how`,
  ROKKA_REGISTRY_FIXED: (path: string, own: string, given: string) =>
    `${path} was made with its cluster state in ${own}; --registry ${given} cannot change it. Leave the flag out`,
  ROKKA_ARCHIVE_FIXED: (path: string, own: string, given: string) =>
    `${path} was made with its archive in ${own}; --archive ${given} cannot change it. Leave the flags out`,
  ROKKA_ARCHIVE_KEYS: (file: string, why: string) =>
    `no keys for the archive: ${why}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where rokka up is started, or write them to ${file} as in AWS's credentials file`,
  ROKKA_ARCHIVE_UNUSABLE: (archive: string, why: string) =>
    `the archive ${archive} cannot be used: ${why}. Then start again`,
  ROKKA_STANDBY_NEEDS: (what: string) => `a standby needs ${what}`,
  ROKKA_PLACE_LOST: (holder: string) =>
    `${holder === '' ? 'nobody' : holder} holds the databases: this machine stands by`,
  ROKKA_NOT_LISTENING: () =>
    `this cluster is on one machine: start it with rokka up --listen HOST, an address that other machines reach`,
  ROKKA_WRONG_DIRECTORY: (path: string, what: string, use: string) => `${path} is that of ${what}: ${use}`,
  ROKKA_NOT_JOINED: (path: string) =>
    `${path} belongs to no cluster yet: rokka join TOKEN --listen HOST:PORT (rokka token --zone Z, on the first machine, prints one)`,
  ROKKA_OTHER_CLUSTER: (path: string, own: string, given: string) =>
    `${path} is a member of cluster ${own}, the token is for cluster ${given}; choose another --data`,
  ROKKA_OTHER_ZONE: (path: string, own: string, given: string) =>
    `${path} holds a node of zone ${own}, the token is for zone ${given}; ask for a token of that zone or choose another --data`,
  ROKKA_HOST_CHANGED: (host: string, known: string) =>
    `--listen ${host}: the certificate of this machine is for ${known}; join again with a token of its own to move it (rokka token --node N, on the first machine)`,
  ROKKA_PROTOCOL_OTHER: (found: number, own: number) =>
    `the machine that wants to take part speaks protocol ${found}, this cluster ${own}: run the same release on both`,
  ROKKA_NODE_REMOVED: (ordinal: number) =>
    `node ${ordinal} was taken out of the cluster and holds nothing for it any more: join anew with an empty --data`,
  ROKKA_NODE_TWICE: (ordinal: number, at: string) =>
    `node ${ordinal} runs already, at ${at}: two processes with one identity would break it; stop the other one, and never copy a data directory`,
  ROKKA_MEMBER_UNKNOWN: (id: string) =>
    `${id} was let in by no token that is still known: join again with a new token`,
  ROKKA_DESK_BUSY: (why: string) =>
    `the first machine could not register this one (${why}); its log says more`,
  ROKKA_DESK_SILENT: (address: string, ms: number) =>
    `the desk at ${address} has said nothing for ${ms} ms: it is connected to anew`,
  ROKKA_DESK_BAD_ANSWER: (address: string, why: string) => `${address}: ${why}; is the address right?`,
  ROKKA_NOT_PLACED: (volume: string, machine: string) =>
    `volume ${volume} is not placed on machine ${machine}: it was detached, or is attached to another one`,
  ROKKA_HEAD_NOT_ALLOWED: (volume: string, what: string) =>
    `the head of volume ${volume} on a joined machine may not ask for that (${what})`,
  ROKKA_MACHINE_AWAY: (machine: string) =>
    `machine ${machine} is not heard: whether the volume is still mounted there is not known. Bring it back, or detach by force`,
  ROKKA_REMOTE_REPLACE: (ordinal: number, zone: string) =>
    `node ${ordinal} is on another machine: join one more machine of zone ${zone} (rokka token --zone ${zone}), then rokka node drain ${ordinal}`,
  ROKKA_CHILD_FAILED: (name: string, why: string) => `${name} ended: ${why}`,
  ROKKA_NO_AWS_PROFILE: (directory: string) =>
    `${directory} has no key for the AWS API yet; it is made when rokka up has started, unless with --aws-port 0`,
  ROKKA_NO_AWS_CLI: (why: string) =>
    `the program aws cannot be started (${why}); install the AWS CLI, or use rokka env with an SDK`,
  ROKKA_NO_POINT: (database: string, span: string) =>
    `the archive of ${database} has no point at or before that time; it reaches ${span}`,
  ROKKA_SNAPSHOT_NOT_THERE: (snapshot: string, phase: string) =>
    `snapshot ${snapshot} is ${phase}: nothing can be restored from it`,
  ROKKA_SNAPSHOT_FAILED: (database: string, why: string) => `there is no snapshot of ${database}: ${why}`,
  ROKKA_CHILD_AWAY: (name: string) => `${name} is not there, or ended meanwhile; it is started again`,
  ROKKA_CHILD_SILENT: (name: string, ms: number) => `${name} has not answered within ${ms} ms`,
  ROKKA_CHILD_CANNOT: (what: string) => `this process has no duty ${what}`,
  ROKKA_HOLD_OVER: (ms: number) =>
    `the volume had been held for ${ms} ms and went on by itself: the snapshots do not show one moment`,
  ROKKA_CUT_LOST: (why: string) => `the moment that all snapshots were to show is lost: ${why}`,
  ROKKA_SET_UNFINISHED: (snapshot: string, why: string) =>
    `snapshot ${snapshot} of a set cannot be made: ${why}`,
  ROKKA_STATE_UNCOPIED: (why: string) =>
    `the state of the cluster could not be copied for a snapshot of the boot volume: ${why}`,
  ROKKA_SNAPSHOT_REFUSED: (why: string) => `no snapshot is made: ${why}`,
  ROKKA_RESTORE_REFUSED: (why: string) => `nothing is restored: ${why}`,
  ROKKA_RESTORE_LATE: (what: string, ms: number) => `${what}: not within ${ms} ms`,
  ROKKA_RESTORE_BROKEN: (volume: string) =>
    `volume ${volume}, made from its snapshot, cannot be opened: its state is error`,
  ROKKA_RESTORE_LEFT: (command: string, why: string) =>
    `not all is as it was before: ${why}. What was made has the tag RokkaRestore=${command}: detach and delete it; RokkaReplaces says which volume belongs in its place`,
  ROKKA_RESTORE_DOWN: (why: string, down: string) =>
    `${why}. And what was stopped does not run again: ${down}. It is tried once more every minute`,
  ROKKA_NO_INSTANCE_KEYS: (why: string) => `this machine has no keys of its own: ${why}`,
  ROKKA_WRITERS_BUSY: () =>
    `applications of this machine are being held for another command: send this one again when that has ended`,
  ROKKA_THAWED_LATE: (ms: number) =>
    `nobody thawed within ${ms} ms, and all went on by themselves: what was copied meanwhile does not count`,
  ROKKA_SET_UNSOUND: (set: string, why: string) => `snapshot set ${set} does not count: ${why}`,
  ROKKA_TAGS_INVALID: (why: string) => `the tags cannot be used: ${why}`,
  ROKKA_UNMOUNTED: (mountPoint: string) =>
    `${mountPoint} was unmounted by hand: it is mounted again; detach the volume to take it away`,
  ROKKA_CHILD_LATE: (name: string, ms: number) => `${name} was not ready within ${ms} ms`,
  ROKKA_STOPPED: (name: string) => `${name} was told to stop before it was ready`,
  ROKKA_STOP_LATE: (pid: number, ms: number) =>
    `process ${pid} is still there after ${ms} ms; look at rokka.log`,
  ROKKA_NO_NATIVE: (why: string) =>
    `native PostgreSQL cannot run here: ${why}. Use --engine pglite, or mend that (rokka doctor)`,
  ROKKA_STOPPED_HARD: () =>
    `stopped at once, by a second signal; what was acknowledged is kept, the next start recovers`,
  ROKKA_UNEXPECTED: (why: string) => `${why}; this is a mistake of ours (ROKKA_DEBUG=1 shows where)`,
  ROKKA_ENGINE_FIXED: (own: string, given: string) =>
    `this database was made with the engine ${own}; --engine ${given} cannot change it. Leave the flag out`,
});
