/**
 * The private mount namespace in which a head lives. The mount of the volume exists in there and nowhere else, so when the
 * head dies (however it dies) the namespace goes with its last process, and the mount goes with the namespace: nothing has
 * to be cleaned up, and no other program of the machine ever sees, or hangs on, a mount whose server is gone.
 *
 * Root gets a mount namespace; anybody else gets one inside a user namespace, where he counts as root (user_namespaces(7)).
 */
import * as fs from 'node:fs';
import { assert } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import type { Command } from './command.ts';

/** Carries the supervisor's mount namespace to the head, which must find itself in another one before it mounts. */
const OUTER_NAMESPACE_VARIABLE = 'ROKKA_OUTER_MOUNT_NAMESPACE';
const OWN_NAMESPACE = '/proc/self/ns/mnt';

/** `root`: may mount as it is. `user`: needs a user namespace for that. */
export type MountPrivilege = 'root' | 'user';

export interface NamespaceOptions {
  readonly privilege?: MountPrivilege;
  /**
   * The command is killed when the thread that starts it ends; for a main thread that is the death of the process, even by
   * SIGKILL (prctl(2), PR_SET_PDEATHSIG). On unless said otherwise: a head without a supervisor serves nobody.
   */
  readonly dieWithParent?: boolean;
}

/**
 * The command, wrapped so that it runs in a private mount namespace. The process id that spawn() reports is the command's
 * own: every part of the wrapping replaces itself by the next one.
 *
 * @example
 * const { command, args } = namespaceCommand({ command: process.execPath, args: ['head.ts'] });
 * spawn(command, args);
 */
export function namespaceCommand(inner: Command, options: NamespaceOptions = {}): Command {
  const { privilege = mountPrivilege(), dieWithParent = true } = options;
  const user = privilege === 'user' ? ['--user', '--map-root-user'] : [];
  // Inside of unshare: entering a user namespace changes credentials, and that clears the parent-death signal.
  const guard = dieWithParent ? ['setpriv', '--pdeathsig', 'KILL', '--'] : [];
  const mark = ['env', `${OUTER_NAMESPACE_VARIABLE}=${fs.readlinkSync(OWN_NAMESPACE)}`];
  return {
    command: 'unshare',
    args: [
      ...user,
      '--mount',
      // Not private: what is unmounted outside would stay mounted here, and its disk busy.
      '--propagation',
      'slave',
      '--',
      ...guard,
      ...mark,
      inner.command,
      ...inner.args,
    ],
  };
}

/**
 * Stops everything unless this process is in a mount namespace of its own: a mount made in the machine's would be seen by
 * all, hide what lies below it and outlive us.
 *
 * @throws DATABASE_NOT_PRIVATE
 */
export function requirePrivateNamespace(): void {
  const outer = process.env[OUTER_NAMESPACE_VARIABLE];
  if (outer === undefined || outer === fs.readlinkSync(OWN_NAMESPACE))
    throw databaseErrors.DATABASE_NOT_PRIVATE([]);
  const shared = fs
    .readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .find((line) => / shared:\d+ /.test(line));
  assert(shared === undefined, () => `mounts of this namespace would spread to others: ${shared}`);
}

/** Capabilities that mounting, and handing the database to another account, ask for (capabilities(7)). */
const CAPABILITIES = { chown: 0n, kill: 5n, setgid: 6n, setuid: 7n, sysAdmin: 21n };

/** What this process may do by itself. `status` is the text of /proc/self/status. */
export function mountPrivilege(status = fs.readFileSync('/proc/self/status', 'latin1')): MountPrivilege {
  const uid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1];
  const effective = BigInt(`0x${/^CapEff:\t([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const able = Object.values(CAPABILITIES).every((bit) => ((effective >> bit) & 1n) === 1n);
  return uid === '0' && able ? 'root' : 'user';
}
