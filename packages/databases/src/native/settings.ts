/**
 * PostgreSQL's settings: which we own, because safety or our supervision stands on them, and which we only choose. The owned
 * ones go on the command line, where neither postgresql.conf nor ALTER SYSTEM reaches them. The chosen ones go into a file
 * below both: a person's ALTER SYSTEM wins, and a person's `-c name=value` wins over that, as with any PostgreSQL.
 */
import { assert } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { LOG_LINE_PREFIX } from './log-line.ts';

export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

export interface SettingsContext {
  readonly major: number;
  readonly port: number;
  /** Addresses or names; `*` is every address of the machine. */
  readonly listenAddresses: readonly string[];
  readonly socketDirectory: string;
  readonly dataDirectory: string;
  readonly configurationDirectory: string;
  readonly memoryBytes: number;
}

const MIB = 2 ** 20;
const SHARED_BUFFERS_MIB_MIN = 16;
const SHARED_BUFFERS_MIB_MAX = 8192;

/** What must not be otherwise. */
export function ownedSettings(context: SettingsContext): Setting[] {
  const { configurationDirectory: etc, listenAddresses, port, socketDirectory } = context;
  const own = (name: string, value: string, reason: string): Setting => ({ name, value, reason });
  const file = 'it is written anew at each start, and lies outside of the volume';
  const captured = 'the log goes to standard error, where rokka reads it line by line';
  return [
    own('config_file', configurationFilePath(etc), file),
    own('hba_file', `${etc}/pg_hba.conf`, file),
    own('listen_addresses', listenAddresses.join(','), 'rokka decides who can reach the database (--listen)'),
    own('port', String(port), 'rokka announces it (--port)'),
    own('unix_socket_directories', socketDirectory, 'rokka looks for the socket there'),
    own('fsync', 'on', 'the answer to fsync is the proof that a commit is on four of six copies'),
    own(
      'synchronous_commit',
      'on',
      'a commit is acknowledged when it is durable; a session may still SET it off',
    ),
    own('wal_sync_method', 'fdatasync', 'one FSYNC on the mount for each commit or group of commits'),
    own(
      'data_sync_retry',
      'off',
      'after a failed fsync only recovery from the log tells what is on the volume',
    ),
    own(
      'dynamic_shared_memory_type',
      'sysv',
      'it lies in the IPC namespace of the server and goes with it; posix leaves files in /dev/shm after a kill',
    ),
    own('shared_memory_type', 'mmap', 'anonymous memory, which goes with the processes'),
    own('password_encryption', 'scram-sha-256', 'the only way in that pg_hba.conf allows'),
    own('logging_collector', 'off', captured),
    own('log_destination', 'stderr', captured),
    own('log_line_prefix', LOG_LINE_PREFIX, captured),
    own('lc_messages', 'C', 'rokka finds the reason of a failure by its words'),
  ];
}

/** What is good on a volume, and yours to change. */
export function chosenSettings(context: SettingsContext): Setting[] {
  const { major, memoryBytes } = context;
  const choose = (name: string, value: string, reason: string): Setting => ({ name, value, reason });
  const settings = [
    choose('full_page_writes', 'off', 'a page write of 8 KiB is atomic on the volume: a seventh of the log'),
    choose(
      'wal_init_zero',
      'off',
      'a new segment need not be written as 16 MiB of zeroes: space in the volume is not reserved by writing',
    ),
    choose(
      'wal_recycle',
      'off',
      'new log over old log would ship every byte; over nothing, only what was written',
    ),
    choose('shared_buffers', `${sharedBuffersMib(memoryBytes)}MB`, 'a quarter of the memory'),
    choose(
      'recovery_init_sync_method',
      'syncfs',
      'a restart need not sync every file: on the volume one durable write makes all before it durable',
    ),
    choose(
      'checkpoint_timeout',
      '1min',
      'clients wait for the replay of what was written since the last checkpoint, which costs only the changed bytes of pages',
    ),
    choose(
      'max_wal_size',
      '256MB',
      'the same bound for those that write a lot: without full pages it is much work',
    ),
    choose(
      'recovery_prefetch',
      'off',
      'the volume fetches what lies around a page while its cache is empty; a second reader of the same pages only takes turns',
    ),
    choose('log_checkpoints', 'off', 'not a line every five minutes for what the metrics show'),
  ];
  const progress = choose('log_startup_progress_interval', '1s', 'recovery is shown as it goes on');
  return major >= 15 ? [...settings, progress] : settings;
}

/** A quarter of the memory, at most as much as has been seen to help: the rest is for sessions, and for the volume's cache. */
export function sharedBuffersMib(memoryBytes: number): number {
  const quarterMib = Math.floor(memoryBytes / MIB / 4);
  return Math.max(SHARED_BUFFERS_MIB_MIN, Math.min(SHARED_BUFFERS_MIB_MAX, quarterMib));
}

/**
 * The arguments of `postgres`. Its own `-c` of a later argument wins, so ours stand last.
 *
 * @throws DATABASE_SETTING_OWNED where `extra` asks for another value than a setting must have
 * @throws DATABASE_SETTING_INVALID
 */
export function postgresArguments(
  context: SettingsContext,
  extra: Readonly<Record<string, string>> = {},
): string[] {
  const owned = ownedSettings(context);
  for (const [name, value] of Object.entries(extra)) {
    if (!/^[a-z_][\w.$]*$/i.test(name) || /[\0\n]/.test(value))
      throw databaseErrors.DATABASE_SETTING_INVALID([
        `${JSON.stringify(`${name}=${value}`)} is not name=value`,
      ]);
    const own = owned.find((setting) => setting.name === name.toLowerCase());
    if (own !== undefined && own.value !== value)
      throw databaseErrors.DATABASE_SETTING_OWNED([own.name, own.value, own.reason]);
  }
  const given = [...Object.entries(extra), ...owned.map(({ name, value }) => [name, value] as const)];
  return ['-D', context.dataDirectory, ...given.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

export function configurationFilePath(configurationDirectory: string): string {
  return `${configurationDirectory}/postgresql.conf`;
}

/** First what initdb found out and a person wrote into the data directory, then ours; ALTER SYSTEM is read last of all. */
export function configurationFile(context: SettingsContext): string {
  const lines = chosenSettings(context).map(
    ({ name, value, reason }) => `# ${reason}\n${name} = ${quote(value)}`,
  );
  return [`include ${quote(`${context.dataDirectory}/postgresql.conf`)}`, ...lines, ''].join('\n');
}

/**
 * Who may come in: with a password, through the unix socket, from this machine, and from `networks` (CIDR) where given.
 * `all` does not stand for replication connections, which nobody needs: the volume replicates.
 */
export function hbaFile(networks: readonly string[] = []): string {
  const from = ['127.0.0.1/32', '::1/128', ...networks].map((network) => {
    if (!/^[\da-f.:]+\/\d{1,3}$/i.test(network))
      throw databaseErrors.DATABASE_NAME_INVALID(['the network', network, 'write it as 10.0.0.0/8']);
    return `host all all ${network} scram-sha-256`;
  });
  return ['local all all scram-sha-256', ...from, ''].join('\n');
}

/** A string in postgresql.conf (guc-file.l: quotes are doubled, backslashes escape). */
function quote(value: string): string {
  assert(!value.includes('\n'), 'a setting is one line');
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
