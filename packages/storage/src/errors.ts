import { defineErrors } from '@rokka/kernel';

/**
 * What a node answers beside OK. `detail` of the epoch and membership errors holds the node's own epochs and its members,
 * so that whoever is behind needs no second request to catch up.
 */
export const storageErrors = defineErrors({
  STORAGE_STALE_EPOCH: (what: string, given: number, own: number) =>
    `${what} carries volume epoch ${given}, this segment is at ${own}: another writer opened the volume`,
  STORAGE_STALE_MEMBERSHIP: (given: number, own: number) =>
    `membership epoch ${given} is not this segment's ${own}: refresh the membership and repeat`,
  STORAGE_NOT_A_MEMBER: (node: string, epoch: number) =>
    `node ${node} is not among the members of membership epoch ${epoch}: it keeps what it has until it is told to drop it`,
  STORAGE_MEMBERSHIP_CONFLICT: (epoch: number, own: string, given: string) =>
    `membership epoch ${epoch} is ${own} here and ${given} in the fence: two changes were begun under one epoch; ask the registry which one holds`,
  STORAGE_STILL_A_MEMBER: (node: string, epoch: number) =>
    `node ${node} is a member under epoch ${epoch}; a segment is dropped only where a later membership is without it`,
  STORAGE_HYDRATING: (volume: string, pg: number) =>
    `volume ${volume}, protection group ${pg} is being filled here and is not complete yet: ask another member`,
  STORAGE_NO_SOURCE: (volume: string, pg: number, why: string) =>
    `volume ${volume}, protection group ${pg} cannot be filled now: ${why}; it is tried again`,
  STORAGE_BUSY: (what: string, limit: number) =>
    `${limit} requests for ${what} wait here already; repeat later`,
  STORAGE_SEGMENT_BUSY: (volume: string, pg: number) =>
    `volume ${volume}, protection group ${pg}: pages are on their way to the disk here; repeat soon`,
  STORAGE_UNFENCED: (given: number, own: number) =>
    `volume epoch ${given} is above this segment's ${own}: send it a fence with the truncation ranges first`,
  STORAGE_FENCED_ELSEWHERE: (volume: string, pg: number) =>
    `volume ${volume}, protection group ${pg}: its writer has fenced it on another connection since; fence it on this one first`,
  STORAGE_NO_SEGMENT: (volume: string, pg: number) =>
    `no segment of volume ${volume}, protection group ${pg} here`,
  STORAGE_NOT_YET: (scl: number, required: number) =>
    `segment is complete to LSN ${scl}, ${required} is needed`,
  STORAGE_BELOW_READ_WINDOW: (point: number, floor: number) =>
    `read point ${point} is below ${floor}; that version is gone`,
  STORAGE_TAIL_HAS_NO_PAGES: () => `a tail segment holds log only; read from a full segment`,
  STORAGE_NO_PAGE: (page: number, first: number, count: number) =>
    `page ${page} is not in this segment, which has ${count} pages from ${first} on`,
  STORAGE_PAGE_UNKNOWN: (page: number) => `page ${page} failed its checksum; it is not served`,
  STORAGE_LOG_DROPPED: (after: number, floor: number) =>
    `records after ${after} were asked for, the log starts after ${floor}`,
  STORAGE_RANGE_MISSED: (lsn: number, previous: number, scl: number) =>
    `record ${lsn} follows ${previous}, but this segment's chain goes on to ${scl}: it has missed a truncation range; send a fence with all ranges`,
  STORAGE_BAD_RECORD: (at: number) => `record at byte ${at} of the message is damaged`,
  STORAGE_BAD_MESSAGE: (type: number, why: string) => `message of type ${type}: ${why}`,
  STORAGE_WRONG_CLUSTER: (given: string, own: string) => `caller is of cluster ${given}, this node of ${own}`,
  STORAGE_NOT_FOR_ROLE: (type: number, role: string) =>
    `message of type ${type} is for heads, the caller is a ${role}`,
  STORAGE_NOT_FOR_VOLUME: (type: number, volume: string, own: string) =>
    `message of type ${type} is about volume ${volume || '(none)'}, the caller may have ${own} alone`,
  STORAGE_WRONG_NODE: (given: string, own: string) => `caller wants node ${given}, this is ${own}`,
  STORAGE_WRONG_PROTOCOL: (given: number, own: number) => `caller speaks protocol ${given}, this node ${own}`,
  STORAGE_DIRECTORY_VERSION: (path: string, found: string, own: string) =>
    `${path} has format ${found}, this program reads ${own}: use the program that made it, or another --data`,
  STORAGE_DIRECTORY_FOREIGN: (path: string, found: string, expected: string) =>
    `${path} belongs to ${found}, not to ${expected}: point --data at the right directory`,
  STORAGE_LOG_DAMAGED: (path: string, at: number) =>
    `${path} is damaged at byte ${at}, where there was data that was acknowledged: what it held counts as unknown until repaired`,
  STORAGE_DIRECTORY_EMPTIED: (path: string) =>
    `${path} has an identity but its log is gone: a node that lost its data must come back as a new member, with an empty --data`,
  STORAGE_SEGMENT_UNKNOWN: (volume: string, pg: number) =>
    `volume ${volume}, protection group ${pg}: part of the log was lost on this node; what it lacks is unknown until its peers have filled it or it is replaced`,
  STORAGE_PAGES_DAMAGED: (path: string) =>
    `${path} does not match its log: which page versions are current is unknown, none is served`,
  STORAGE_CLOSED: (what: string) => `${what} is closed`,
  STORAGE_DISK_FULL: (path: string) =>
    `no space left on the disk under ${path}: free some; writes wait until then`,
  STORAGE_DISK_FAILED: (path: string, why: string) => `${path}: ${why}`,
});
