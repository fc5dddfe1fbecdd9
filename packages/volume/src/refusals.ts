/** What it means for a member's place in its group that its node refused. */
import { isCoded, type CodedError } from '@rokka/kernel';

/** Another writer has opened the volume since. */
const TAKEN_OVER = ['STORAGE_STALE_EPOCH', 'VOLUME_INTERRUPTED', 'VOLUME_FENCED'];
/** What the node held is gone. It comes back as another member or not at all (aurora.md trap 13). */
const LOST = [
  'VOLUME_SEGMENT_LOST',
  'VOLUME_SEGMENT_WENT_BACK',
  'STORAGE_SEGMENT_UNKNOWN',
  'STORAGE_NOT_A_MEMBER',
];

/** Of a segment whose group never was: made for other members or as another kind, or no longer known to its node. */
const LEFT_OVER = ['STORAGE_MEMBERSHIP_CONFLICT', 'STORAGE_SEGMENT_UNKNOWN', 'STORAGE_BAD_MESSAGE'];

/** Whether the error can only mean that another writer has opened the volume since. */
export function saysTakenOver(error: CodedError): boolean {
  return TAKEN_OVER.includes(error.code);
}

/** Whether a node that never had its segment may say so because of one that a dead writer left there. */
export function saysLeftOver(error: unknown): boolean {
  return isCoded(error) && LEFT_OVER.includes(error.code);
}

/** @param reason why the member does not take part: the code of an error, or what `Group.unfencedReasons` says else */
export function saysLost(reason: string | undefined): boolean {
  return reason !== undefined && LOST.includes(reason);
}
