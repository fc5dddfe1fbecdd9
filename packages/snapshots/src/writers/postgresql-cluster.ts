/**
 * Which PostgreSQL servers run with something on the volumes, and where all of each one is.
 *
 * A server is found by its process, whose working directory is the data directory: so it is found too where only its WAL or a
 * tablespace is on a volume, and where it sees the data directory by another path (a container). Where its process cannot be seen
 * (another PID namespace), it is found by the postmaster.pid that it keeps in the data directory, if its socket answers; a
 * postmaster.pid without either is left over from a crash, and nobody is there to be held.
 */
import * as fs from 'node:fs/promises';
import * as net from 'node:net';
import * as path from 'node:path';
import type { MountedVolume } from '../writer.ts';
import { searchDirectories } from './directory-search.ts';
import { obeying } from './obeying.ts';
import { isPlaced, placeVolumes, type PlacedVolume } from './placement.ts';
import { readPlainFile } from './plain-file.ts';
import { fileKey, workingDirectories, type WorkingDirectory } from './processes.ts';

export interface Cluster {
  readonly dataDirectory: string;
  /** Such as `15`. */
  readonly version: string;
  readonly port: number;
  /** Where its socket may be: as the server sees it, and through its process. Empty where it has no socket. */
  readonly socketDirectories: readonly string[];
  /** The account that it runs under. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The data directory, and what symbolic links lead to from it: WAL, tablespaces. Real paths. */
  readonly parts: readonly string[];
  /** Those of the parts that are on no volume. */
  readonly outside: readonly string[];
}

const PID_FILE = 'postmaster.pid';
const SERVER_NAMES = ['postgres', 'postmaster'];
const CONNECT_MS_MAX = 1_000;

/** @throws what the system says of the mount points */
export async function findClusters(
  mounted: readonly Pick<MountedVolume, 'mountPoint'>[],
  signal: AbortSignal,
): Promise<readonly Cluster[]> {
  const volumes = await placeVolumes(mounted, signal);
  const running = new Map<string, WorkingDirectory>();
  // Anybody may call a program so; a server runs as the owner of its data directory, or does not start.
  const processes = (await workingDirectories(SERVER_NAMES, signal)).filter(({ isOwners }) => isOwners);
  // The lowest number is the server's own: the others come and go with its clients.
  for (const at of processes.sort((a, b) => b.pid - a.pid)) running.set(at.key, at);
  const clusters = new Map<string, Cluster>();
  const take = async (directory: string, process: WorkingDirectory | undefined) => {
    const cluster = await obeying(readCluster(directory, { process, volumes }), signal);
    if (cluster && cluster.outside.length < cluster.parts.length)
      clusters.set(cluster.dataDirectory, cluster);
  };
  for (const at of running.values()) if (await isAt(at)) await take(at.path, at);
  for (const volume of volumes)
    for await (const directory of searchDirectories(volume, { signal })) {
      if (!directory.files.includes(PID_FILE) || clusters.has(directory.path)) continue;
      await take(directory.path, running.get(fileKey(await obeying(fs.stat(directory.path), signal))));
    }
  return [...clusters.values()];
}

/** Whether the path means the same here as it does to the process. */
async function isAt(at: WorkingDirectory): Promise<boolean> {
  return fs.stat(at.path).then(
    (stat) => fileKey(stat) === at.key,
    () => false,
  );
}

/** Undefined where it is no data directory, or nobody has it open. */
async function readCluster(
  directory: string,
  { process, volumes }: { process: WorkingDirectory | undefined; volumes: readonly PlacedVolume[] },
): Promise<Cluster | undefined> {
  try {
    const file = parsePidFile((await readPlainFile(path.join(directory, PID_FILE))) ?? '');
    const version = (await readPlainFile(path.join(directory, 'PG_VERSION')))?.trim();
    if (!file || version === undefined) return undefined;
    const { uid, gid } = await fs.stat(directory);
    const doors = process ? [path.join(`/proc/${process.pid}/root`, file.socketDirectory)] : [];
    const socketDirectories = file.socketDirectory === '' ? [] : [file.socketDirectory, ...doors];
    if (!process && !(await anyAnswers(socketDirectories, file.port))) return undefined;
    const parts = await partsOf(directory);
    const outside = [];
    for (const part of parts) if (!(await isPartPlaced(part, volumes))) outside.push(part);
    const { port } = file;
    return {
      dataDirectory: parts[0],
      version,
      port,
      socketDirectories,
      owner: { uid, gid },
      parts,
      outside,
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Its files went away under our eyes: the server has stopped. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}

/** A part whose link leads nowhere stands as the link says. */
export async function partsOf(dataDirectory: string): Promise<readonly string[]> {
  const own = await fs.realpath(dataDirectory);
  const parts = [own];
  for (const directory of [own, path.join(own, 'pg_tblspc')])
    for (const entry of await fs.readdir(directory, { withFileTypes: true }))
      if (entry.isSymbolicLink()) parts.push(await targetOf(path.join(directory, entry.name)));
  return parts;
}

async function targetOf(link: string): Promise<string> {
  return fs.realpath(link).catch(async () => path.resolve(path.dirname(link), await fs.readlink(link)));
}

/** Not one that leads nowhere, as a link does that was made for another mount namespace. */
export async function isPartPlaced(part: string, volumes: readonly PlacedVolume[]): Promise<boolean> {
  return fs.stat(part).then(
    ({ dev }) => isPlaced(volumes, { path: part, device: dev }),
    () => false,
  );
}

export interface PidFile {
  readonly port: number;
  /** An absolute path, without `..`. Empty where the server listens on no unix socket in a directory that is known. */
  readonly socketDirectory: string;
}

/** Its lines: pid, data directory, start time, port, socket directory, address, shared memory, state (miscinit.c). */
export function parsePidFile(text: string): PidFile | undefined {
  const lines = text.split('\n');
  const port = Number(lines[3]);
  if (!Number.isInteger(port) || port <= 0) return undefined;
  const directory = (lines[4] ?? '').trim();
  return { port, socketDirectory: path.isAbsolute(directory) ? path.normalize(directory) : '' };
}

async function anyAnswers(directories: readonly string[], port: number): Promise<boolean> {
  for (const directory of directories)
    if (await answers(path.join(directory, `.s.PGSQL.${port}`))) return true;
  return false;
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: socketPath, timeout: CONNECT_MS_MAX });
    const end = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
