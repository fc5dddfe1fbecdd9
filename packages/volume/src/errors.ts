import { defineErrors } from '@rokka/kernel';

export const volumeErrors = defineErrors({
  VOLUME_NONE: (id: string) => `no volume ${id} in this cluster's registry`,
  VOLUME_DELETED: (id: string) =>
    `volume ${id} was deleted: what is left of it goes when its storage nodes are back; make another one`,
  VOLUME_EXISTS: (id: string) => `volume ${id} exists already`,
  VOLUME_FENCED: (id: string, own: number, newer: number) =>
    `volume ${id} was opened by another writer (epoch ${newer}, ours was ${own}); this one stops for good`,
  VOLUME_NO_QUORUM: (id: string, pg: number, have: number, ms: number) =>
    `volume ${id}, protection group ${pg}: ${have} of its storage nodes answered within ${ms} ms, too few for a quorum; start the others (rokka status names them)`,
  VOLUME_RECOVERY_OUTDATED: (id: string, epoch: number) =>
    `volume ${id}: whoever held the last records when recovery (epoch ${epoch}) decided is gone; open it again, which decides from those who are left`,
  VOLUME_LOG_UNREADABLE: (pg: number, after: number, through: number, why: string) =>
    `the log of protection group ${pg} in (${after}, ${through}] cannot be read from any storage node: ${why}`,
  VOLUME_LOG_DROPPED: (pg: number, after: number) =>
    `the log of protection group ${pg} after LSN ${after} is on no storage node any more`,
  VOLUME_PAGES_UNREADABLE: (pg: number, why: string) =>
    `the pages of protection group ${pg} cannot be copied from any full member: ${why}`,
  VOLUME_NO_BASE: (id: string, base: string) =>
    `volume ${id} is a clone of ${base}, whose archive this program was not given`,
  VOLUME_UNREADABLE: (page: number, why: string) =>
    `page ${page} cannot be read from any full segment: ${why}`,
  VOLUME_FULL: (pages: number, max: number) => `the volume cannot map ${pages} pages, its limit is ${max}`,
  VOLUME_SEGMENT_LOST: (node: string, pg: number) =>
    `node ${node} has lost its segment of protection group ${pg}: it must come back as a new member, it is left out`,
  VOLUME_NODE_DOWN: (node: string) => `storage node ${node} is not connected`,
  VOLUME_NODE_SILENT: (node: string, ms: number) =>
    `storage node ${node} takes what it is sent and has answered nothing for ${ms} ms`,
  VOLUME_CHANGE_BUSY: (pg: number) =>
    `protection group ${pg} is still taking in its last change of members: try again when rokka status shows it settled`,
  VOLUME_NODE_RETIRED: (node: string, pg: number) =>
    `node ${node} was replaced in protection group ${pg} and still holds what it had there: it may come back when that is dropped, or take another node`,
  VOLUME_CHANGE_LATE: (pg: number, epoch: number, ms: number) =>
    `protection group ${pg}: membership epoch ${epoch} is decided and did not reach a write quorum within ${ms} ms; it goes on when nodes are back`,
  VOLUME_CLOSED: (id: string) => `volume ${id} is closed`,
  VOLUME_NOT_RESUMABLE: (why: string) =>
    `the writer before cannot be taken over from (${why}): whoever wrote through it must begin anew`,
  VOLUME_INTERRUPTED: (id: string) =>
    `volume ${id} was opened by someone else while it recovered; open it again`,
});
