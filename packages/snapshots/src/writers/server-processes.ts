/**
 * Servers that run on this machine, found in /proc by their program's name, with the directory that they work in and what they
 * listen on. No configuration is read: that of a running server may have changed since.
 *
 * A server in a mount namespace of its own (a container) is reached through /proc/<pid>/root: its paths begin there. One in
 * another network namespace is reached by its unix socket only.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { processIds } from './processes.ts';

export interface ServerProcess {
  readonly pid: number;
  readonly parent: number;
  readonly program: string;
  /** What stands before a path of the server to make it one of ours; empty in the same mount namespace. */
  readonly root: string;
  /** Its working directory, as a path of ours. */
  readonly directory: string;
  /** Unix sockets it listens on, as paths of ours. */
  readonly sockets: readonly string[];
  /** TCP ports it listens on in our network namespace. */
  readonly ports: readonly number[];
}

/** Those of the user's processes that this process may look into; others are left out, as are those that end meanwhile. */
export async function serverProcesses(
  programs: readonly string[],
  signal: AbortSignal,
): Promise<ServerProcess[]> {
  const found: ServerProcess[] = [];
  for (const pid of await processIds(signal)) {
    const server = await look(pid, programs).catch(() => undefined);
    if (server) found.push(server);
  }
  // What a server has forked, to write a dump for it, is none of its own.
  const pids = new Set(found.map((server) => server.pid));
  return found.filter((server) => !pids.has(server.parent));
}

async function look(pid: number, programs: readonly string[]): Promise<ServerProcess | undefined> {
  const proc = `/proc/${pid}`;
  const program = (await fs.readFile(`${proc}/comm`, 'utf8')).trim();
  if (!programs.includes(program)) return undefined;
  const same = async (kind: string) =>
    (await fs.readlink(`${proc}/ns/${kind}`)) === (await fs.readlink(`/proc/self/ns/${kind}`));
  const root = (await same('mnt')) ? '' : `${proc}/root`;
  const cwd = await fs.readlink(`${proc}/cwd`);
  const own = await socketInodes(proc);
  const sockets = unixListeners(await fs.readFile(`${proc}/net/unix`, 'utf8'), own);
  const ports = (await same('net')) ? await tcpListeners(proc, own) : [];
  const status = await fs.readFile(`${proc}/status`, 'latin1');
  return {
    pid,
    parent: Number(/^PPid:\t(\d+)/m.exec(status)?.[1]),
    program,
    root,
    directory: root + cwd,
    sockets: sockets.map((name) => root + path.resolve(cwd, name)),
    ports,
  };
}

async function socketInodes(proc: string): Promise<Set<string>> {
  const inodes = new Set<string>();
  for (const fd of await fs.readdir(`${proc}/fd`)) {
    const target = await fs.readlink(`${proc}/fd/${fd}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode) inodes.add(inode);
  }
  return inodes;
}

/** Of /proc/net/unix: `Num RefCount Protocol Flags Type St Inode Path`; flag 0x10000 says that it listens (proc_pid_net(5)). */
export function unixListeners(table: string, inodes: ReadonlySet<string>): string[] {
  return table.split('\n').flatMap((line) => {
    const match = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) ([^@].*)$/.exec(line);
    return match && Number.parseInt(match[1], 16) & 0x1_0000 && inodes.has(match[2]) ? [match[3]] : [];
  });
}

async function tcpListeners(proc: string, inodes: ReadonlySet<string>): Promise<number[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => fs.readFile(`${proc}/net/${name}`, 'utf8').catch(() => '')),
  );
  return [...new Set(tables.flatMap((table) => tcpPorts(table, inodes)))];
}

/** Of /proc/net/tcp: the local address is the second field, its port in hex; state 0A is LISTEN; the inode is the tenth. */
export function tcpPorts(table: string, inodes: ReadonlySet<string>): number[] {
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const port = fields[1]?.split(':')[1];
    return port && fields[3] === '0A' && inodes.has(fields[9]) ? [Number.parseInt(port, 16)] : [];
  });
}
