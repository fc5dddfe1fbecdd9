import { defineErrors } from '@rokka/kernel';

/** What a node answers beside OK. `detail` of the epoch errors holds the node's own epochs. */
export const storageErrors = defineErrors({
  STORAGE_STALE_EPOCH: (what: string, given: number, own: number) =>
    `${what} carries volume epoch ${given}, this segment is at ${own}: another writer opened the volume`,
  STORAGE_STALE_MEMBERSHIP: (given: number, own: number) =>
    `membership epoch ${given} is not this segment's ${own}: refresh the membership and repeat`,
  STORAGE_UNFENCED: (given: number, own: number) =>
    `volume epoch ${given} is above this segment's ${own}: send it a fence with the truncation ranges first`,
  STORAGE_NO_SEGMENT: (volume: string, pg: number) =>
    `no segment of volume ${volume}, protection group ${pg} here`,
  STORAGE_NOT_YET: (scl: number, required: number) =>
    `segment is complete to LSN ${scl}, ${required} is needed`,
  STORAGE_BELOW_READ_WINDOW: (point: number, floor: number) =>
    `read point ${point} is below ${floor}; that version is gone`,
  STORAGE_TAIL_HAS_NO_PAGES: () => `a tail segment holds log only; read from a full segment`,
  STORAGE_PAGE_UNKNOWN: (page: number) => `page ${page} failed its checksum; it is not served`,
  STORAGE_LOG_DROPPED: (after: number, floor: number) =>
    `records after ${after} were asked for, the log starts after ${floor}`,
  STORAGE_BAD_RECORD: (at: number) => `record at byte ${at} of the message is damaged`,
  STORAGE_BAD_MESSAGE: (type: number, why: string) => `message of type ${type}: ${why}`,
  STORAGE_WRONG_CLUSTER: (given: string, own: string) => `caller is of cluster ${given}, this node of ${own}`,
  STORAGE_WRONG_NODE: (given: string, own: string) => `caller wants node ${given}, this is ${own}`,
  STORAGE_WRONG_PROTOCOL: (given: number, own: number) => `caller speaks protocol ${given}, this node ${own}`,
  STORAGE_DIRECTORY_VERSION: (path: string, found: string, own: string) =>
    `${path} has format ${found}, this program reads ${own}: use the program that made it, or another --data`,
  STORAGE_DIRECTORY_FOREIGN: (path: string, found: string, expected: string) =>
    `${path} belongs to ${found}, not to ${expected}: point --data at the right directory`,
  STORAGE_LOG_DAMAGED: (path: string, at: number) =>
    `${path} is damaged at byte ${at}, before data that was acknowledged: the node's segments count as unknown until repaired`,
  STORAGE_DISK_FULL: (path: string) =>
    `no space left on the disk under ${path}: free some; writes wait until then`,
  STORAGE_DISK_FAILED: (path: string, why: string) => `${path}: ${why}`,
});
