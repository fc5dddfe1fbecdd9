/** What it means for a member's place in its group that its node refused. */
import type { CodedError } from '@rokka/kernel';

/** Another writer has opened the volume since. */
const TAKEN_OVER = ['STORAGE_STALE_EPOCH', 'VOLUME_INTERRUPTED', 'VOLUME_FENCED'];
/** What the node held is gone. It comes back as another member or not at all (aurora.md trap 13). */
const LOST = [
  'VOLUME_SEGMENT_LOST',
  'VOLUME_SEGMENT_WENT_BACK',
  'STORAGE_SEGMENT_UNKNOWN',
  'STORAGE_NOT_A_MEMBER',
];

/** Whether the error can only mean that another writer has opened the volume since. */
export function saysTakenOver(error: CodedError): boolean {
  return TAKEN_OVER.includes(error.code);
}

/** @param reason why the member does not take part: the code of an error, or what `Group.unfencedReasons` says else */
export function saysLost(reason: string | undefined): boolean {
  return reason !== undefined && LOST.includes(reason);
}
