/**
 * Makes a database cluster on the volume, once. Everything happens in a directory beside the final one, which gets its name
 * by an atomic rename when all is written and synced: a data directory that exists is whole, and whatever a crash left
 * of an earlier attempt is thrown away and begun anew. Calling it again is always right.
 *
 * The head serves the mount, so it must not look at a path on it: the work is done by a shell, confined like the server.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { deadline, systemClock, type Clock, type Random } from '@rokka/kernel';
import { databaseErrors } from '../errors.ts';
import { fileOwner } from './account.ts';
import { spawnConfined, type ConfinedOptions } from './confinement.ts';
import { describeExit, explainFailure } from './failure.ts';
import { parseLogLine, type LogLine } from './log-line.ts';
import { writeSecret, type PostgresStage } from './stage.ts';

export interface InitialisePostgresOptions {
  /** The volume must be mounted on its `mountPoint`. */
  readonly stage: PostgresStage;
  /** Of the superuser. Keep it before you call: a database that is there already has the one it was made with. */
  readonly password: string;
  /** The superuser; `postgres` unless given. */
  readonly user?: string;
  /** One that is there already gets this password, too: for when nobody knows the one that it has. */
  readonly resetPassword?: boolean;
  /** A database to create beside `postgres`. */
  readonly database?: string;
  /** What is being done, in a few words. */
  readonly onProgress?: (step: string) => void;
  readonly timeoutMs?: number;
  /** Gives it up; the next call begins anew. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface Initialised {
  /** False where the database was there already. */
  readonly created: boolean;
}

const TIMEOUT_MS = 300_000;
const LINES_KEPT = 50;

/** Fit for a URL, a shell and a password file as it is. 24 bytes: 192 bits. */
export function generatePassword(random: Random): string {
  return random.hex(24);
}

/**
 * @throws DATABASE_VERSION_MISMATCH, DATABASE_NAME_INVALID, DATABASE_INITDB_FAILED, DATABASE_OUT_OF_SPACE, KERNEL_DEADLINE
 */
export async function initialisePostgres(options: InitialisePostgresOptions): Promise<Initialised> {
  const { stage, clock = systemClock, timeoutMs = TIMEOUT_MS } = options;
  const { uid, gid } = fileOwner(stage.account);
  const passwordFile = path.join(stage.configurationDirectory, 'password');
  const resetFile = path.join(stage.configurationDirectory, 'reset.sql');
  const statement = createDatabase(options.database ?? 'postgres');
  const { user = 'postgres', resetPassword = false } = options;
  requireText('the password', options.password);
  const limits = { stage, clock, deadlineMs: clock.nowMs() + timeoutMs, signal: options.signal };
  await runScript({
    ...limits,
    asHead: true,
    script: OWNERSHIP_SCRIPT,
    args: [`${uid}:${gid}`, stage.mountPoint, stage.dataDirectory],
  });
  writeSecret(passwordFile, { text: `${options.password}\n`, account: stage.account });
  if (resetPassword)
    writeSecret(resetFile, { text: setPassword(user, options.password), account: stage.account });
  try {
    const found = await runScript({
      ...limits,
      script: INITDB_SCRIPT,
      args: [
        stage.binDirectory,
        stage.dataDirectory,
        statement,
        resetPassword ? resetFile : '',
        ...initdbArguments(stage.major, { passwordFile, user }),
      ],
      onProgress: options.onProgress,
    });
    if (found !== undefined && found !== String(stage.major))
      throw databaseErrors.DATABASE_VERSION_MISMATCH([found, stage.major]);
    return { created: found === undefined };
  } finally {
    fs.rmSync(passwordFile, { force: true });
    fs.rmSync(resetFile, { force: true });
  }
}

/**
 * A volume that was written under another account (another machine, or an ordinary user's namespace) is handed over.
 * chown changes a directory after what is in it, so a hand-over that was cut short is seen, and done again.
 */
const OWNERSHIP_SCRIPT = `
set -eu
owner=$1 top=$2 data=$3
[ "$(stat -c %u:%g "$top")" = "$owner" ] || chown "$owner" "$top"
[ ! -e "$data" ] || [ "$(stat -c %u:%g "$data")" = "$owner" ] || chown -R "$owner" "$data"
`;

/**
 * --no-sync, and then everything at once: syncfs(2) makes the kernel hand over what it still holds, the rename comes after
 * it in the volume's log, and the two fsyncs at the end wait until the log is durable up to them.
 *
 * Single-user mode recovers what a server left that was killed, and ends with a checkpoint: the server that follows finds
 * everything in order.
 *
 * A crash between the making of postmaster.pid and the writing of it leaves an empty one, with which no server would start
 * again: it cannot tell whether another one is just starting. Here none is: the volume has one head.
 */
const INITDB_SCRIPT = `
set -eu
bin=$1 data=$2 statement=$3 reset=$4
shift 4
if [ -e "$data" ]; then
  [ -s "$data/postmaster.pid" ] || rm -f -- "$data/postmaster.pid"
  if [ -n "$reset" ]; then
    echo 'step setting the password'
    "$bin/postgres" --single -D "$data" -c exit_on_error=on -c log_checkpoints=off postgres <"$reset" >&2
  fi
  echo "found $(cat "$data/PG_VERSION")"
  exit 0
fi
rm -rf -- "$data.new"
echo 'step creating the system catalogs'
"$bin/initdb" --pgdata="$data.new" "$@" >&2
if [ -n "$statement" ]; then
  echo 'step creating the database'
  printf '%s\\n' "$statement" |
    "$bin/postgres" --single -D "$data.new" -F -c exit_on_error=on -c log_checkpoints=off template1 >&2
fi
echo 'step waiting until all of it is durable'
sync -f "$data.new"
mv -T -- "$data.new" "$data"
sync "$data/PG_VERSION" "\${data%/*}"
`;

function initdbArguments(major: number, of: { passwordFile: string; user: string }): string[] {
  // The collation must be the same on every machine that ever opens the volume: from 17 on it is part of PostgreSQL itself.
  const locale =
    major >= 17
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
      : ['--locale=C.UTF-8'];
  const access = [`--username=${of.user}`, `--pwfile=${of.passwordFile}`, '--auth=scram-sha-256'];
  return [...access, '--encoding=UTF8', ...locale, '--data-checksums', '--no-sync', '--no-instructions'];
}

/** One line for single-user mode; `postgres` is always there. */
function createDatabase(name: string): string {
  requireText('the database name', name);
  if (Buffer.byteLength(name) > 63)
    throw databaseErrors.DATABASE_NAME_INVALID(['the database name', name, 'it has more than 63 bytes']);
  if (['postgres', 'template0', 'template1'].includes(name)) return '';
  return `CREATE DATABASE "${name.replaceAll('"', '""')}"`;
}

/** One line for single-user mode, which asks for no password. */
function setPassword(user: string, password: string): string {
  return `ALTER ROLE "${user.replaceAll('"', '""')}" PASSWORD '${password.replaceAll("'", "''")}'\n`;
}

function requireText(what: string, value: string): void {
  if (value === '') throw databaseErrors.DATABASE_NAME_INVALID([what, value, 'it is empty']);
  // oxlint-disable-next-line no-control-regex
  if (/[\0-\x1f\x7f]/.test(value))
    throw databaseErrors.DATABASE_NAME_INVALID([what, value, 'it has control characters']);
}

/** Runs a script to its end; answers what it `found`. A script that is late is killed with everything it started. */
async function runScript(options: {
  stage: PostgresStage;
  script: string;
  args: readonly string[];
  asHead?: boolean;
  onProgress?: ((step: string) => void) | undefined;
  clock: Clock;
  deadlineMs: number;
  signal: AbortSignal | undefined;
}): Promise<string | undefined> {
  const { stage, clock, signal } = options;
  signal?.throwIfAborted();
  const said: LogLine[] = [];
  let found: string | undefined;
  const program: ConfinedOptions['program'] = {
    command: 'sh',
    args: ['-c', options.script, 'rokka-initialise', ...options.args],
  };
  const shell = await spawnConfined({
    program,
    account: options.asHead === true ? undefined : stage.account,
    environment: stage.environment,
    clock,
    onOutput(line) {
      const [, word, rest = ''] = /^(found|step) (.*)$/.exec(line) ?? [];
      if (word === 'found') found = rest;
      if (word === 'step') options.onProgress?.(rest);
    },
    onError(line) {
      said.push(parseLogLine(line));
      if (said.length > LINES_KEPT) said.shift();
    },
  });
  const giveUp = () => shell.kill('SIGKILL');
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    const ms = Math.max(0, options.deadlineMs - clock.nowMs());
    const exit = await deadline(shell.exited, { what: 'creating the database', ms, clock });
    if (exit.status === 0) return found;
    signal?.throwIfAborted();
    throw explainFailure(said, (why) =>
      databaseErrors.DATABASE_INITDB_FAILED([`${describeExit(exit)}: ${why}`]),
    );
  } finally {
    signal?.removeEventListener('abort', giveUp);
    shell.kill('SIGKILL');
  }
}
