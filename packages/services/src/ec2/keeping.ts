/**
 * What is to be done next for a volume, a snapshot or an image: from what the registry has of it. Pure, and nothing is remembered of the
 * way here. A step is one write, or is repeated without harm; after the last one there is nothing to do.
 */
import type { DatabaseChange } from '@rokka/databases';
import { GIB } from './ec2-records.ts';
import type { ImageFacts } from './image-facts.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';
import { hasItsSize, isClosed, isOpen, snapshotState } from './status.ts';
import type { VolumeFacts } from './volume-facts.ts';

export type VolumeStep =
  | { readonly step: 'none' }
  | { readonly step: 'claim-token' }
  /** It has its token: from here on it counts. */
  | { readonly step: 'confirm' }
  /** Another one has its token. */
  | { readonly step: 'withdraw' }
  | { readonly step: 'make-database' }
  /** The database is there: what it was made with may be forgotten. */
  | { readonly step: 'forget-wish' }
  | { readonly step: 'tell-ready' }
  | { readonly step: 'claim-device' }
  /** Another one has its directory. */
  | { readonly step: 'refuse-attachment' }
  | { readonly step: 'change-database'; readonly change: DatabaseChange; readonly restart: boolean }
  | { readonly step: 'set-desired'; readonly desired: 'running' | 'stopped' | 'deleted' }
  /** Whoever had it open before a forced detachment writes no more. */
  | { readonly step: 'tell-fenced' }
  | { readonly step: 'end-attachment' }
  | { readonly step: 'end-modification' }
  | { readonly step: 'remove-volume' };

export type SnapshotStep =
  | 'none'
  | 'keep'
  | 'complete'
  /** What it kept has failed. */
  | 'fail'
  /** Nothing shall be kept for one that has failed. */
  | 'drop'
  /** It is deleted, and nothing waits for it any more. */
  | 'forget';

export type ImageStep =
  | 'none'
  | 'claim-name'
  /** It has its name: from here on it counts. */
  | 'confirm'
  /** Another one has its name. */
  | 'withdraw';

const NONE: VolumeStep = { step: 'none' };

export function decideVolume(facts: VolumeFacts): VolumeStep {
  const { volume, database, snapshots, tokenHolder } = facts;
  if (volume.unconfirmed) {
    if (tokenHolder === undefined) return { step: 'claim-token' };
    return { step: tokenHolder === volume.id ? 'confirm' : 'withdraw' };
  }
  if (!database) {
    // Whoever removed the database has removed what the volume was.
    return { step: volume.wish && !volume.deleting ? 'make-database' : 'remove-volume' };
  }
  if (volume.wish && !volume.deleting) return { step: 'forget-wish' };
  if (database.desired === 'deleted') return NONE;
  if (volume.deleting) {
    // Whoever asked for a snapshot before gets it.
    const waits = snapshots.some((snapshot) => snapshotState(snapshot) === 'pending');
    return waits ? NONE : { step: 'set-desired', desired: 'deleted' };
  }
  return sizing(facts) ?? (volume.attachment ? attachment(facts) : upkeep(facts)) ?? modification(facts);
}

/** Counts at once, whether it runs or not. */
function sizing({ volume, database }: VolumeFacts): VolumeStep | undefined {
  const sizeBytes = volume.sizeGiB * GIB;
  if (database?.files?.sizeBytes === sizeBytes) return undefined;
  const change = { files: { ...database?.files, sizeBytes } };
  return { step: 'change-database', change, restart: false };
}

function attachment(facts: VolumeFacts): VolumeStep | undefined {
  const { volume, database, deviceHolder } = facts;
  const { id, mount, machine, detaching } = volume.attachment ?? {};
  if (detaching?.force && !detaching.fenced) return fencing(facts);
  if (detaching) {
    if (database?.desired !== 'stopped') return { step: 'set-desired', desired: 'stopped' };
    if (!isClosed(facts)) return undefined;
    return mounting(facts) ?? { step: 'end-attachment' };
  }
  if (deviceHolder === undefined) return { step: 'claim-device' };
  if (deviceHolder !== id) return { step: 'refuse-attachment' };
  const change = mounting(facts, { mount, machine });
  if (change) return change;
  return database?.desired === 'running' ? undefined : { step: 'set-desired', desired: 'running' };
}

/** It is opened where it is seen nowhere, on the first machine: from then on no other can write to it. */
function fencing(facts: VolumeFacts): VolumeStep | undefined {
  const change = mounting(facts);
  if (change) return change;
  if (facts.database?.desired !== 'running') return { step: 'set-desired', desired: 'running' };
  return isOpen(facts) ? { step: 'tell-fenced' } : undefined;
}

/** Nobody uses it: it runs until its files were opened once, and then no more. */
function upkeep(facts: VolumeFacts): VolumeStep | undefined {
  const { volume, database } = facts;
  const change = mounting(facts);
  if (change) return change;
  if (!volume.ready && isOpen(facts)) return { step: 'tell-ready' };
  const desired = volume.ready ? 'stopped' : 'running';
  return database?.desired === desired ? undefined : { step: 'set-desired', desired };
}

/** @param at the directory, and the machine where it is not the first; nowhere where it is absent */
function mounting(
  { database }: VolumeFacts,
  { mount, machine }: { mount?: string | undefined; machine?: string | undefined } = {},
): VolumeStep | undefined {
  const { sizeBytes = 0, mount: told, machine: placed } = database?.files ?? {};
  if (told === mount && placed === machine) return undefined;
  const files = {
    sizeBytes,
    ...(mount !== undefined && { mount }),
    ...(machine !== undefined && { machine }),
  };
  return { step: 'change-database', change: { files }, restart: true };
}

function modification(facts: VolumeFacts): VolumeStep {
  const { modification: last } = facts.volume;
  const isOver = !last || last.endedAtMs !== undefined || !hasItsSize(facts);
  return isOver ? NONE : { step: 'end-modification' };
}

/** @param of.nameHolder who has its name */
export function decideImage({ record, nameHolder }: Pick<ImageFacts, 'record' | 'nameHolder'>): ImageStep {
  if (!record.unconfirmed) return 'none';
  if (nameHolder === undefined) return 'claim-name';
  return nameHolder === record.id ? 'confirm' : 'withdraw';
}

export function decideSnapshot(snapshot: SnapshotFacts): SnapshotStep {
  const { record, kept, set } = snapshot;
  // Nobody may ever have asked for it.
  if (set?.image?.unconfirmed) return 'none';
  const hasFailed = record.failure !== undefined || set?.failure !== undefined;
  if (record.deleted && set?.isFinished) return 'forget';
  if (hasFailed) return kept ? 'drop' : 'none';
  if (record.completedAtMs !== undefined) return 'none';
  if (kept?.phase === 'failed') return 'fail';
  if (!kept || kept.unconfirmed) return 'keep';
  return kept.phase === 'available' ? 'complete' : 'none';
}
