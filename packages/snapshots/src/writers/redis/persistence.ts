/** What INFO says of a Redis or Valkey server's data on the disk, decided without any input or output. */
import type { Info } from './client.ts';

/** Whether nothing is being written by the server beside its commands: no dump, no rewrite of the log, none waiting to begin. */
export function isQuiet(info: Info): boolean {
  return [
    'rdb_bgsave_in_progress',
    'aof_rewrite_in_progress',
    'aof_rewrite_scheduled',
    'module_fork_in_progress',
  ].every((name) => (info[name] ?? '0') === '0');
}

/** Why it cannot be brought to a safe point now; undefined where it can. */
export function unfitness(info: Info): string | undefined {
  if (info['loading'] === '1') return 'it is loading its data; try again later';
  if (info['role'] === 'slave' && info['master_sync_in_progress'] === '1')
    return 'it is copying the data of its primary; try again later';
  if (hasLog(info) && info['aof_last_write_status'] !== 'ok')
    return 'the last write to its append-only file failed; see its log';
  // After CONFIG SET appendonly yes there is a log only when the first rewrite has succeeded.
  if (hasLog(info) && info['aof_last_bgrewrite_status'] !== 'ok')
    return 'the last rewrite of its append-only file failed; BGREWRITEAOF tells why in its log';
  return undefined;
}

export function hasLog(info: Info): boolean {
  return info['aof_enabled'] === '1';
}

/** Whether the kernel has everything that was answered. Only then do the files hold it, in whole commands. */
export function logIsWritten(info: Info): boolean {
  return info['aof_buffer_length'] === '0' && info['aof_pending_bio_fsync'] === '0';
}

/** Whether a dump that was begun while nobody wrote has succeeded. It leaves no changes, and nobody has made one since. */
export function dumpIsDone(info: Info): boolean {
  return (
    isQuiet(info) && info['rdb_last_bgsave_status'] === 'ok' && info['rdb_changes_since_last_save'] === '0'
  );
}

/**
 * Whether data was changed between two looks, of which the first was quiet. The replication offset alone would not tell: before
 * 7.2 it stands still where there is no replica. Changes are counted since the last dump, so one that has ended in between, which
 * began in between as well, starts the count at nothing.
 */
export function wasWritten(before: Info, now: Info): boolean {
  const same = (name: string) => before[name] === now[name];
  if (!['run_id', 'master_replid', 'master_repl_offset'].every(same)) return true;
  const dumped = !same('rdb_last_save_time') || !same('rdb_saves');
  return dumped ? now['rdb_changes_since_last_save'] !== '0' : !same('rdb_changes_since_last_save');
}

export function positionOf(info: Info): string {
  return `${info['master_replid']}:${info['master_repl_offset']}`;
}
