/**
 * Can this machine run PostgreSQL on a mount of ours? Answered by trying it in a child that is thrown away: whether a kernel,
 * a container or a security module allows a step cannot be told from version numbers. The child's namespaces end with it.
 */
import { isCoded, systemClock, type Clock, type CodedError } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { findAccount, type Account } from './account.ts';
import { runCommand, type CommandResult } from './command.ts';
import { confinedCommand } from './confinement.ts';
import { mountBase } from './mount-base.ts';
import { mountPrivilege, namespaceCommand } from './namespace.ts';

export interface Obstacle {
  readonly code: string;
  /** One line: what is in the way, and the way out. */
  readonly message: string;
}

export type NativeSupport =
  | { readonly possible: true }
  | { readonly possible: false; readonly reasons: readonly Obstacle[] };

export interface ProbeOptions {
  readonly timeoutMs?: number;
  readonly platform?: NodeJS.Platform;
  readonly clock?: Clock;
}

const TIMEOUT_MS = 10_000;
/** Exit statuses of the script: which step failed. */
const STEP = { tmpfs: 81, missing: 82, denied: 83, fuse: 84, confine: 85 };

/** Each step stands on the one before, so the first that fails is the reason. The FUSE mount has no server: nobody looks. */
const SCRIPT = `
mount -t tmpfs -o size=1m,mode=755 rokka-probe "$0" || exit ${STEP.tmpfs}
mkdir "$0/fuse" || exit ${STEP.tmpfs}
[ -e /dev/fuse ] || exit ${STEP.missing}
( : <>/dev/fuse ) || exit ${STEP.denied}
exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other rokka-probe "$0/fuse" || exit ${STEP.fuse}
echo go | "$@" || exit ${STEP.confine}
`;

/** Never throws for what the machine lacks: that is the answer. */
export async function probeNativeSupport(options: ProbeOptions = {}): Promise<NativeSupport> {
  const { timeoutMs = TIMEOUT_MS, platform = process.platform, clock = systemClock } = options;
  if (platform !== 'linux') return refused(databaseErrors.DATABASE_NOT_LINUX([platform]));
  try {
    const privilege = mountPrivilege();
    // The child of an ordinary user is root of its namespace, and his only user there; its number does not matter here.
    const account: Account =
      privilege === 'root' ? findAccount() : { name: 'nobody', uid: 65534, gid: 65534, how: 'map' };
    const confined = confinedCommand({ command: 'true', args: [] }, account);
    const script = ['-c', SCRIPT, mountBase(), confined.command, ...confined.args];
    const command = namespaceCommand({ command: 'sh', args: script }, { privilege });
    return judge(await runCommand(command, { timeoutMs, clock }));
  } catch (error) {
    if (isCoded(error)) return refused(error);
    throw error;
  }
}

function judge({ status, failure, words }: CommandResult): NativeSupport {
  if (status === 0) return { possible: true };
  const why = words || failure || `status ${status}`;
  if (status === STEP.tmpfs) return refused(databaseErrors.DATABASE_MOUNT_DENIED(['a tmpfs', why]));
  if (status === STEP.missing) return refused(databaseErrors.DATABASE_FUSE_MISSING([]));
  if (status === STEP.denied) return refused(databaseErrors.DATABASE_FUSE_DENIED([]));
  if (status === STEP.fuse) return refused(databaseErrors.DATABASE_MOUNT_DENIED(['FUSE', why]));
  if (status === STEP.confine) return refused(databaseErrors.DATABASE_CONFINEMENT_DENIED([why]));
  if (failure === 'ENOENT') return refused(databaseErrors.DATABASE_TOOL_MISSING(['unshare']));
  if (status === 127) return refused(databaseErrors.DATABASE_TOOL_MISSING([why]));
  return refused(databaseErrors.DATABASE_NAMESPACE_DENIED([why]));
}

function refused({ code, message }: CodedError): NativeSupport {
  return { possible: false, reasons: [{ code, message }] };
}
