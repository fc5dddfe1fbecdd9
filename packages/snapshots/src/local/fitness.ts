/**
 * Whether a mount of the list may be frozen and can be copied. Pure.
 *
 * Frozen is a whole file system, whoever uses it: so what Rokka itself needs in order to thaw it must lie elsewhere, down to the last
 * device. A copy is one of the file behind the device: so there must be one, and all of the file system must be in it.
 */
import type { LoopDevice } from './loop-device.ts';
import type { Mount } from './mounts.ts';

export interface MountFacts {
  /** Real, without symbolic links. */
  readonly mountPoint: string;
  /** Undefined where nothing is mounted there. */
  readonly mount?: Mount | undefined;
  readonly loop?: LoopDevice | undefined;
  /** Devices below the file behind the loop device, the file's own first. */
  readonly below: readonly string[];
}

export interface Unfit {
  readonly mountPoint: string;
  readonly why: string;
  /** An imperative, for people. */
  readonly wayOut: string;
}

export interface Judgement {
  readonly facts: readonly MountFacts[];
  /** By device: what of Rokka's lies there, in words. */
  readonly needed: ReadonlyMap<string, string>;
}

/** Those that the kernel freezes, and whose copy can be mounted beside the original. */
const TYPES = ['ext2', 'ext3', 'ext4', 'xfs'];
const MAKE_ONE = 'make an image on XFS or btrfs and mount that (losetup, mkfs.ext4, mount)';

/** The first that is amiss, in the order of the list. */
export function firstUnfit({ facts, needed }: Judgement): Unfit | undefined {
  for (const [at, one] of facts.entries()) {
    const { mountPoint } = one;
    const found =
      ofMount(one) ?? ofTwin(one, facts.slice(0, at)) ?? ofLoop(one) ?? ofFoundations(one, { facts, needed });
    if (found) return { mountPoint, why: found[0], wayOut: found[1] };
  }
  return undefined;
}

type Found = readonly [why: string, wayOut: string] | undefined;

function ofMount({ mountPoint, mount }: MountFacts): Found {
  if (!mount) return ['nothing is mounted there', 'mount it'];
  if (mountPoint === '/') return ['the machine itself stands on it', MAKE_ONE];
  if (!TYPES.includes(mount.type))
    return [`it is of the type ${mount.type}, and only ext4 and XFS can be frozen and copied`, MAKE_ONE];
  if (mount.root !== '/')
    return [
      `it shows only the directory ${mount.root} of a file system (a bind mount)`,
      'name the mount point of the whole file system',
    ];
  const other = /(?:^|,)(logdev|rtdev)=([^,]*)/.exec(mount.options);
  if (other) return [`a part of it is on another device (${other[0].replace(/^,/, '')})`, MAKE_ONE];
  return undefined;
}

function ofTwin({ mount }: MountFacts, before: readonly MountFacts[]): Found {
  const twin = before.find((one) => one.mount?.device === mount?.device);
  return twin && [`it is the same file system as ${twin.mountPoint}`, 'name it once'];
}

function ofLoop({ mount, loop }: MountFacts): Found {
  if (!loop) return [`${mount?.source} is no loop device with a file behind it`, MAKE_ONE];
  if (loop.backingDevice === undefined)
    return [
      `the file behind ${loop.name} is no longer at ${loop.backingFile}, or losetup cannot tell`,
      'move it back there',
    ];
  if (!loop.isWhole)
    return [`${loop.name} shows only a part of ${loop.backingFile}`, 'make the device of the whole file'];
  return undefined;
}

function ofFoundations({ mount }: MountFacts, { facts, needed }: Judgement): Found {
  const what = needed.get(mount?.device ?? '');
  if (what !== undefined) return [`${what} lies on it, and would be frozen too`, `move that elsewhere`];
  const above = facts.find(({ below }) => below.includes(mount?.device ?? ''));
  return (
    above && [
      `the file behind ${above.mountPoint} lies on it, and could not be copied while it is frozen`,
      `name one of the two`,
    ]
  );
}
