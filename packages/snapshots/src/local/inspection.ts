/**
 * Looks at the mounts of the list, and at what Rokka itself stands on, before anybody is held: whether they may be frozen and can be copied is
 * said in fitness.ts.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import { obeying } from '../writers/obeying.ts';
import { firstUnfit, type MountFacts } from './fitness.ts';
import { ADMINISTRATORS_PATH, type LoopDevice, loopDeviceOf } from './loop-device.ts';
import { deviceOf, type Mount, mountAt, readMounts } from './mounts.ts';

export interface FitMount {
  readonly mountPoint: string;
  readonly mount: Mount;
  readonly loop: LoopDevice;
}

export interface InspectionOptions {
  readonly mountPoints: readonly string[];
  /** Of Rokka's own data. What is directly in it may be a mount, or a link to one. */
  readonly dataDirectory: string;
  /** fsfreeze */
  readonly program: string;
}

/** Loop devices on files on loop devices: deeper is a mistake. */
const DEPTH_MAX = 8;
/** Where programs and their libraries are. */
const SYSTEM = ['/', '/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc'];

/** @throws SNAPSHOTS_LOCAL_UNFIT; the signal's reason */
export async function inspect(options: InspectionOptions, signal: AbortSignal): Promise<FitMount[]> {
  const mounts = await readMounts();
  const facts: MountFacts[] = [];
  for (const given of options.mountPoints) {
    const mountPoint = await obeying(fs.realpath(given), signal).catch(() => given);
    signal.throwIfAborted();
    const mount = mountAt(mounts, mountPoint);
    const loop = mount && (await loopDeviceOf(mount.device, signal));
    const below = loop?.backingDevice === undefined ? [] : await devicesBelow(loop.backingDevice, signal);
    facts.push({ mountPoint, mount, loop, below });
  }
  const unfit = firstUnfit({ facts, needed: await neededDevices(options, signal) });
  if (unfit) throw snapshotErrors.SNAPSHOTS_LOCAL_UNFIT([unfit.mountPoint, unfit.why, unfit.wayOut]);
  return facts.map(({ mountPoint, mount, loop }) => {
    if (!mount || !loop) throw new Error(`${mountPoint} is fit, and there is nothing`);
    return { mountPoint, mount, loop };
  });
}

/** The path of a program of administrators. @throws SNAPSHOTS_LOCAL_WATCHDOG where it is missing */
export async function programPath(name: string): Promise<string> {
  for (const directory of ADMINISTRATORS_PATH.split(':').filter(path.isAbsolute)) {
    const file = path.join(directory, name);
    const isThere = await fs.access(file, fs.constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return await fs.realpath(file);
  }
  throw snapshotErrors.SNAPSHOTS_LOCAL_WATCHDOG([`there is no ${name}: install util-linux`]);
}

/** This device, and that of the file behind it, and so on down. */
async function devicesBelow(device: string, signal: AbortSignal): Promise<string[]> {
  const found = [device];
  while (found.length < DEPTH_MAX) {
    const loop = await loopDeviceOf(found.at(-1) ?? device, signal);
    if (loop?.backingDevice === undefined) break;
    found.push(loop.backingDevice);
  }
  return found;
}

async function neededDevices(
  { dataDirectory, program }: InspectionOptions,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const needed = new Map<string, string>();
  const need = async (file: string, what: string) => {
    const status = await obeying(
      fs.stat(file).catch(() => undefined),
      signal,
    );
    if (!status) return;
    for (const device of await devicesBelow(deviceOf(status.dev), signal))
      if (!needed.has(device)) needed.set(device, what);
  };
  for (const file of [...SYSTEM, program, process.execPath, import.meta.dirname])
    await need(file, `what is run in order to thaw it (${file})`);
  const parts = await obeying(
    fs.readdir(dataDirectory).catch(() => [] as string[]),
    signal,
  );
  const nodes = path.join(dataDirectory, 'nodes');
  const ofNodes = await obeying(
    fs.readdir(nodes).catch(() => [] as string[]),
    signal,
  );
  const files = [
    dataDirectory,
    ...parts.map((part) => path.join(dataDirectory, part)),
    ...ofNodes.map((node) => path.join(nodes, node)),
  ];
  for (const file of files) await need(file, `Rokka's data directory (${file})`);
  return needed;
}
