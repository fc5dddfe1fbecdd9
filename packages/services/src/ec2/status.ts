/**
 * What a state is: said anew each time, from the records and from the database's state, and kept nowhere. So none can be stuck,
 * and none is told that is not so.
 */
import type { VolumeFacts } from './volume-facts.ts';
import type { ImageFacts } from './image-facts.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';
import { GIB } from './ec2-records.ts';

export type VolumeState = 'creating' | 'available' | 'in-use' | 'deleting' | 'error';
type AttachmentState = 'attaching' | 'attached' | 'detaching' | 'busy';
type SnapshotState = 'pending' | 'completed' | 'error';
export type ImageState = 'pending' | 'available' | 'failed';

export function volumeState({ volume, database, state }: VolumeFacts): VolumeState {
  // Without a wish there was a database: somebody else has deleted it.
  const isGoing = database ? database.desired === 'deleted' : volume.wish === undefined;
  if (volume.deleting || isGoing) return 'deleting';
  if (volume.attachment) return 'in-use';
  if (volume.ready) return 'available';
  return state?.phase === 'failed' ? 'error' : 'creating';
}

export function attachmentState(facts: VolumeFacts): AttachmentState | undefined {
  const { volume, state } = facts;
  if (!volume.attachment) return undefined;
  if (volume.attachment.detaching) return state?.reason === undefined ? 'detaching' : 'busy';
  return isMounted(facts) ? 'attached' : 'attaching';
}

/** Whether its files are open as its record wants them. */
export function isOpen({ database, state }: VolumeFacts): boolean {
  return state?.phase === 'available' && state.generation === database?.generation;
}

/** Whether nobody has its files open: as seen since it was told to stop, for before that the controller may have begun to open them. */
export const isClosed = ({ database, state }: VolumeFacts) =>
  state?.phase === 'stopped' && state.generation === database?.generation;

/** Whether its files are to be seen in the directory of its attachment. */
function isMounted(facts: VolumeFacts): boolean {
  const { volume, database, state } = facts;
  const { mount, machine } = database?.files ?? {};
  const isTold =
    mount !== undefined && mount === volume.attachment?.mount && machine === volume.attachment.machine;
  return isTold && isOpen(facts) && state?.mountPoint !== undefined;
}

/** Whether its files may take what they shall, as far as they are in use at all. */
export function hasItsSize({ volume, database, state }: VolumeFacts): boolean {
  const sizeBytes = volume.sizeGiB * GIB;
  if (database?.files?.sizeBytes !== sizeBytes) return false;
  return state?.phase === 'available' ? state.sizeBytes === sizeBytes : state?.phase === 'stopped';
}

export function snapshotState({ record, kept, set }: SnapshotFacts): SnapshotState {
  if (record.failure !== undefined || set?.failure !== undefined) return 'error';
  // It was there once: somebody has removed what was kept.
  if (!kept) return record.completedAtMs === undefined ? 'pending' : 'error';
  if (kept.phase === 'failed') return 'error';
  return kept.phase === 'available' && !kept.unconfirmed ? 'completed' : 'pending';
}

/** Of what its snapshots are: one that is gone, or will never be, fails it. */
export function imageState({ snapshots }: Pick<ImageFacts, 'snapshots'>): ImageState {
  const states = snapshots.map((facts) => (facts ? snapshotState(facts) : 'error'));
  if (states.includes('error')) return 'failed';
  return states.includes('pending') ? 'pending' : 'available';
}
