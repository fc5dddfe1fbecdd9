/**
 * What stands in etcd under a key of the registry: one line of head, then the value as JSON.
 *
 *     rokka1 live 0123456789abcdef0123456789abcdef 89abcdef
 *     {"volumeEpoch":6}
 *
 * The hexadecimal words are the write id, which is drawn anew for each call of `put` or `remove` and tells its author
 * whether it was this call that took effect, and the CRC-32 of key, state, id and value: etcd checks its log, not what
 * lies in its database file. A key that was removed stays, as `gone` and without a value: see etcd-write.ts. `gone`
 * sorts below `live`, so that etcd itself can compare for it.
 */
import { crc32 } from '@rokka/kernel';
import type { KeyValue } from './etcd-messages.ts';
import { registryErrors } from './errors.ts';

const HEAD = /^rokka1 (live|gone) ([0-9a-f]{32}) ([0-9a-f]{8})\n/;
/** Every live entry is greater, every other one is less. */
export const LIVE_FLOOR = 'rokka1 live ';

/** A version of a key, as etcd has it. */
export interface Version {
  /** Its mod_revision; greater with each write of any key, and never used twice. */
  readonly revision: number;
  readonly id: string;
  /** JSON; undefined where the key was removed. */
  readonly text: string | undefined;
}

const checksumOf = (key: string, id: string, text: string | undefined) =>
  crc32(Buffer.from(JSON.stringify([key, text === undefined ? 'gone' : 'live', id, text ?? ''])))
    .toString(16)
    .padStart(8, '0');

export function encodeVersion(key: string, id: string, text: string | undefined): string {
  const state = text === undefined ? 'gone' : 'live';
  return `rokka1 ${state} ${id} ${checksumOf(key, id, text)}\n${text ?? ''}`;
}

/** `where` is what an error names. @throws REGISTRY_CORRUPT */
export function decodeVersion(where: string, key: string, found: KeyValue): Version {
  const stored = found.value;
  const [head, state, id, checksum] = HEAD.exec(stored) ?? [];
  if (head === undefined) throw corrupt(where, key, 'is not in the format rokka1');
  const rest = stored.slice(head.length);
  const text = state === 'live' ? rest : undefined;
  if (checksum !== checksumOf(key, id, text) || (text === undefined && rest !== ''))
    throw corrupt(where, key, 'failed its checksum');
  return { revision: found.revision, id, text };
}

const corrupt = (where: string, key: string, what: string) =>
  registryErrors.REGISTRY_CORRUPT([
    `etcd at ${where}`,
    `the entry ${key} ${what}`,
    'keep a snapshot of etcd (etcdctl snapshot save), and put back that entry; the volumes themselves are not in it',
  ]);
