/**
 * Socket paths and the files behind them. The kernel takes 107 bytes of path; a longer one is reached through a
 * descriptor of its directory (/proc/self/fd/N/name), which must stay open for as long as the path is used.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { transportErrors } from './errors.ts';

/** sun_path without its closing zero: unix(7) on Linux, and the same on macOS. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

export interface SocketPath extends Disposable {
  /** What to give to bind(2), connect(2) or unlink(2). */
  readonly path: string;
}

/** A path for `address` that the kernel takes. @throws TRANSPORT_PATH_TOO_LONG, and the system's error for a missing directory */
export function openSocketPath(address: string): SocketPath {
  const bytes = Buffer.byteLength(address);
  if (bytes <= PATH_BYTES_MAX) return { path: address, [Symbol.dispose]() {} };
  const tooLong = () => transportErrors.TRANSPORT_PATH_TOO_LONG([address, bytes, PATH_BYTES_MAX]);
  if (process.platform !== 'linux') throw tooLong();
  const fd = fs.openSync(path.dirname(address), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const short = `/proc/self/fd/${fd}/${path.basename(address)}`;
  if (Buffer.byteLength(short) > PATH_BYTES_MAX) {
    fs.closeSync(fd);
    throw tooLong();
  }
  return { path: short, [Symbol.dispose]: () => fs.closeSync(fd) };
}

/**
 * Makes the directory of `address` where it is missing, for its owner alone. One that others may write to is refused:
 * they could put a socket of their own in this one's place.
 *
 * @throws TRANSPORT_PERMISSION, and the system's error
 */
export function prepareSocketDirectory(address: string): void {
  const directory = path.dirname(address);
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { mode } = fs.statSync(directory);
  const sticky = (mode & 0o1000) !== 0;
  if ((mode & 0o022) === 0 || sticky) return;
  const shown = (mode & 0o777).toString(8);
  throw transportErrors.TRANSPORT_PERMISSION([
    address,
    `other users may write to ${directory} (mode ${shown})`,
  ]);
}

export type SocketFile = { kind: 'none' } | { kind: 'other' } | { kind: 'socket'; identity: string };

/** What lies at `path`. The identity tells a socket file from a later one of the same name. */
export function inspectSocketFile(path: string): SocketFile {
  const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (!stat) return { kind: 'none' };
  if (!stat.isSocket()) return { kind: 'other' };
  return { kind: 'socket', identity: `${stat.dev}:${stat.ino}:${stat.ctimeNs}` };
}

/** Removes a dead socket file, unless another process has put a new one in its place since it was inspected. */
export function removeSocketFile(path: string, identity: string): void {
  const now = inspectSocketFile(path);
  if (now.kind === 'socket' && now.identity === identity) fs.rmSync(path, { force: true });
}
