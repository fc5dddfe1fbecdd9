/**
 * What is restored, from what was asked for and what the snapshots say of themselves (`vss-report.ts`). Pure. A set is restored whole
 * or not at all: half of it shows a moment that never was.
 */
import type { Snapshot } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import type { JsonObject } from '@rokka/services';
import { type Level, LEVELS } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import { linesOf, textOf } from '../inputs.ts';

export type RestoreMode = 'Test' | 'Replace';

export interface RestoreRequest {
  readonly mode: RestoreMode;
  readonly asked: NamedSnapshots | NewestSet | NamedImage;
  /** Whether it is tried before anything is replaced. */
  readonly verifies: boolean;
}

/** Where its snapshots belong it says itself. */
export interface NamedImage {
  readonly image: string;
}

export type NamedSnapshots = { readonly set: string } | { readonly snapshots: readonly string[] };

/** Of the instance, that is consistent for applications: whichever that is then. */
export interface NewestSet {
  readonly newest: true;
  /** Undefined: however old it is. */
  readonly hoursMax: number | undefined;
}

/** One snapshot of the set. */
export interface RestorePart {
  readonly snapshot: string;
  /** The volume that it shows. */
  readonly shows: string;
  /** Where that one was attached: `/dev/sdf`. */
  readonly device: string;
}

export interface RestorePlan {
  readonly set: string;
  readonly level: Level;
  /** Whether all of them have the tag AppConsistent. */
  readonly isConsistent: boolean;
  /** In the order of their devices. */
  readonly parts: readonly RestorePart[];
}

const SET = /^[A-Za-z0-9-]{1,64}$/;
const HOURS = /^[1-9][0-9]{0,4}$/;
/** No set has this id: those of AWS begin with `set-`. */
const NEWEST = 'latest';
export const refuse = (why: string) => rokkaErrors.ROKKA_RESTORE_REFUSED([why]);

/** @throws ROKKA_RESTORE_REFUSED */
export function restoreRequestOf(inputs: JsonObject): RestoreRequest {
  const set = textOf(inputs, 'SnapshotSetId');
  const snapshots = linesOf(inputs, 'SnapshotIds').filter((id) => id !== '');
  const mode = textOf(inputs, 'Mode');
  if (mode !== 'Test' && mode !== 'Replace') throw refuse(`Mode is Test or Replace, not "${mode}"`);
  const image = textOf(inputs, 'ImageId');
  if ([set !== '', snapshots.length > 0, image !== ''].filter(Boolean).length !== 1)
    throw refuse('give one of SnapshotSetId, SnapshotIds and ImageId, to say which snapshots are meant');
  const verifies = !/^false$/i.test(textOf(inputs, 'Verify'));
  if (mode === 'Test' && !verifies) throw refuse('Verify=False is for Mode=Replace alone: a Test verifies');
  const hours = textOf(inputs, 'MaxAgeHours');
  if (set === NEWEST) return { mode, verifies, asked: newestOf(mode, hours) };
  if (hours !== '') throw refuse(`MaxAgeHours is for SnapshotSetId=${NEWEST} alone`);
  if (image !== '') return { mode, verifies, asked: { image } };
  if (snapshots.length > 0) return { mode, verifies, asked: { snapshots: [...new Set(snapshots)] } };
  if (!SET.test(set)) throw refuse(`"${set}" is no id of a set`);
  return { mode, verifies, asked: { set } };
}

/** What replaces volumes somebody has to name. */
function newestOf(mode: RestoreMode, hours: string): NewestSet {
  if (mode !== 'Test')
    throw refuse(`SnapshotSetId=${NEWEST} is for Mode=Test alone: name the set that is to be put in place`);
  if (hours !== '' && !HOURS.test(hours)) throw refuse(`MaxAgeHours is 1 to 99999, not "${hours}"`);
  return { newest: true, hoursMax: hours === '' ? undefined : Number(hours) };
}

/**
 * @param found the snapshots that were asked for; of a set, at least all that name it
 * @throws ROKKA_RESTORE_REFUSED for what is no whole set, or is not there yet
 */
export function planOf(found: readonly Snapshot[], asked: NamedSnapshots): RestorePlan {
  const told = found.map((snapshot) => ({ snapshot, config: configOf(snapshot) }));
  const chosen = 'set' in asked ? told.filter(({ config }) => config?.set === asked.set) : told;
  const [first] = chosen;
  if (!first)
    throw refuse(
      'set' in asked ? `no snapshot has set ${asked.set} in its tag AwsVssConfig` : 'none is there',
    );
  const stranger = chosen.find(({ config }) => config === undefined);
  if (stranger)
    throw refuse(`${stranger.snapshot.SnapshotId} does not say of which set it is: it has no AwsVssConfig`);
  const { set, size, level } = must(first.config);
  const other = chosen.find(({ config }) => config?.set !== set);
  if (other)
    throw refuse(
      `${first.snapshot.SnapshotId} is of set ${set}, ${other.snapshot.SnapshotId} of ${other.config?.set}`,
    );
  if (size === undefined) throw refuse(`set ${set} does not say how many snapshots it had`);
  if (chosen.length !== size) throw refuse(`set ${set} had ${size} snapshots, and ${chosen.length} are here`);
  const parts = chosen.map(({ snapshot }) => partOf(snapshot)).sort((a, b) => (a.device < b.device ? -1 : 1));
  const twice = parts.find(({ device }, at) => at > 0 && parts[at - 1]?.device === device);
  if (twice) throw refuse(`two snapshots of set ${set} belong to ${twice.device}`);
  const isConsistent = chosen.every(({ snapshot }) => isAppConsistent(snapshot));
  return { set, level, isConsistent, parts };
}

/** @param device where it belongs; as its tag says unless given @throws ROKKA_RESTORE_REFUSED */
export function partOf(snapshot: Snapshot, device = tagOf(snapshot, 'Device')): RestorePart {
  const id = must(snapshot.SnapshotId);
  if (device === undefined) throw refuse(`${id} has no tag Device, which says where a volume of it belongs`);
  if (snapshot.State !== 'completed')
    throw refuse(`${id} is ${snapshot.State}: wait until all are completed`);
  return { snapshot: id, shows: must(snapshot.VolumeId), device };
}

interface SetConfig {
  readonly set: string;
  readonly size: number | undefined;
  readonly level: Level;
}

export const isAppConsistent = (snapshot: Snapshot) => tagOf(snapshot, 'AppConsistent') === 'True';

/** The set that it says it is of. */
export const setOf = (snapshot: Snapshot): string | undefined => configOf(snapshot)?.set;

/** Undefined where there is none that can be read. */
function configOf(snapshot: Snapshot): SetConfig | undefined {
  let value: Partial<Record<'set' | 'size' | 'level', unknown>> | null;
  try {
    value = JSON.parse(tagOf(snapshot, 'AwsVssConfig') ?? 'null') as typeof value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  if (typeof value !== 'object' || typeof value?.set !== 'string') return undefined;
  const { set, size } = value;
  const level = LEVELS.find((known) => known === value.level) ?? 'crash';
  return { set, size: typeof size === 'number' ? size : undefined, level };
}

export const tagOf = (
  { Tags = [] }: { Tags?: { Key?: string | undefined; Value?: string | undefined }[] | undefined },
  key: string,
): string | undefined => Tags.find(({ Key }) => Key === key)?.Value;

/** Names that EC2 proposes for data volumes; then those of which there are many. */
const NAMES = [
  ...Array.from('fghijklmnop', (letter) => `/dev/sd${letter}`),
  ...Array.from('bcdefghijklmnopqrstuvwxyz', (letter) => `/dev/xvd${letter}`),
];

/** @param taken devices at which something is attached, or belongs */
export const freeDevices = (taken: readonly string[]): string[] =>
  NAMES.filter((name) => !taken.includes(name));
