/** What is behind a loop device, as the kernel says it (loop(4)). */
import * as fs from 'node:fs/promises';
import { obeying } from '../writers/obeying.ts';
import { runProgram } from '../writers/program.ts';
import { deviceOf } from './mounts.ts';

export interface LoopDevice {
  /** `/dev/loop3` */
  readonly name: string;
  readonly backingFile: string;
  /** Of the device that the backing file lies on; undefined where nothing, or another file, has its name. */
  readonly backingDevice?: string;
  /** The device shows the file from its first byte to its last. */
  readonly isWhole: boolean;
}

const LOOP_MAJOR = '7';
const LOSETUP_MS = 10_000;
/** Where the programs of administrators are, whoever started this process. */
export const ADMINISTRATORS_PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Undefined where the device, as `7:3`, is no loop device, or none that has a file. @throws the signal's reason */
export async function loopDeviceOf(device: string, signal: AbortSignal): Promise<LoopDevice | undefined> {
  const [major, minor] = device.split(':');
  if (major !== LOOP_MAJOR) return undefined;
  const link = await fs.readlink(`/sys/dev/block/${device}`).catch(() => '');
  // A partition of a loop device is one of its own, with a number of another kind.
  const node = /\/(loop\d+)$/.exec(link)?.[1] ?? `loop${minor}`;
  const name = `/dev/${node}`;
  const read = (file: string) =>
    fs.readFile(`/sys/block/${node}/loop/${file}`, 'utf8').catch(() => undefined);
  const backingFile = (await read('backing_file'))?.replace(/\n$/, '');
  if (backingFile === undefined) return undefined;
  const isWhole = Number(await read('offset')) === 0 && Number(await read('sizelimit')) === 0;
  const status = await obeying(
    fs.stat(backingFile).catch(() => undefined),
    signal,
  );
  const inode = await backingInode(name, signal);
  const isThere = status?.isFile() === true && inode === `${deviceOf(status.dev)} ${status.ino}`;
  return { name, backingFile, isWhole, ...(isThere && { backingDevice: deviceOf(status.dev) }) };
}

/** Names can be taken by other files after the device was made; the inode stays. Empty where it cannot be told. */
async function backingInode(name: string, signal: AbortSignal): Promise<string> {
  const columns = ['--list', '--noheadings', '--output', 'BACK-MAJ:MIN,BACK-INO'];
  const { failure, output } = await runProgram('losetup', [...columns, name], {
    signal,
    timeoutMs: LOSETUP_MS,
    env: { PATH: ADMINISTRATORS_PATH, LC_ALL: 'C' },
  });
  return failure === undefined ? output.trim().split(/\s+/).join(' ') : '';
}
