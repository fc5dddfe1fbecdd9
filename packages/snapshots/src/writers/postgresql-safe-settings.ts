/**
 * How a server is started on a copy that it must not harm, nor do harm from: alone, silent, and running nothing that the copy names.
 *
 * All is said on the command line, which the server believes before any file: `postgresql.auto.conf` lies in the data directory, and
 * whoever could write there could have a shell command or a library run by it.
 */

const VERSION = /^\d{1,2}(\.\d{1,2})?$/;

/** Of PG_VERSION; undefined where it is none, as it is part of the path of a program. */
export function parseVersion(text: string): string | undefined {
  const version = text.trim();
  return VERSION.test(version) ? version : undefined;
}

/** A server ends where it does not know a setting, so each is there from its version on. */
const SETTINGS: readonly (readonly [name: string, value: string, since?: number])[] = [
  ['listen_addresses', ''],
  ['port', '5432'],
  ['ssl', 'off'],
  ['bonjour', 'off'],
  ['external_pid_file', ''],
  ['shared_buffers', '16MB'],
  ['max_connections', '10'],
  ['max_prepared_transactions', '100'],
  ['logging_collector', 'off'],
  ['log_destination', 'stderr'],
  ['lc_messages', 'C'],
  ['autovacuum', 'off'],
  ['hot_standby', 'off'],
  ['shared_preload_libraries', ''],
  ['session_preload_libraries', ''],
  ['local_preload_libraries', ''],
  ['archive_mode', 'off'],
  ['archive_command', ''],
  ['archive_library', '', 15],
  // Subscriptions of the original would be the copy's too.
  ['max_logical_replication_workers', '0', 10],
  ['restore_command', '', 12],
  ['archive_cleanup_command', '', 12],
  ['recovery_end_command', '', 12],
  ['primary_conninfo', '', 12],
];

/** What makes a server wait for another one, and run what restores its WAL; the last one before version 12. */
export const RECOVERY_FILES = ['standby.signal', 'recovery.signal', 'recovery.conf'];

/** @param base a directory of its own, with the files that are named here */
export function safeSettings({ version, base }: { version: string; base: string }): string[] {
  const own = [
    `config_file=${base}/postgresql.conf`,
    `hba_file=${base}/pg_hba.conf`,
    `ident_file=${base}/pg_ident.conf`,
    `unix_socket_directories=${base}`,
  ];
  const safe = SETTINGS.filter(([, , since = 0]) => Number(version) >= since);
  return [...own, ...safe.map(([name, value]) => `${name}=${value}`)];
}
