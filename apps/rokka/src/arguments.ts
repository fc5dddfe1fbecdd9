/** The command line: which command, with which options. Wrong flags and values are coded errors that name the way out. */
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { machineMemoryBytes } from '@rokka/kernel';
import { parseRegistryLocation } from '@rokka/registry';
import type { RegistryChoice } from './data-directory.ts';
import { type ArchiveWish, parseArchive } from './databases/archive-choice.ts';
import { rokkaErrors } from './errors.ts';
import { type ListenAddress, parseListen } from './machines/listen-address.ts';

export const ENGINES = ['auto', 'native', 'pglite'] as const;
export type EngineChoice = (typeof ENGINES)[number];

export interface Arguments {
  command: string;
  /** What follows the command: `rokka node drain 3`. */
  words: readonly string[];
  dataDirectory: string;
  port: number;
  engine: EngineChoice;
  /** `bin` directory of a PostgreSQL to use instead of the one from npm. */
  postgres: string | undefined;
  /** Settings for PostgreSQL, by name. */
  settings: Record<string, string>;
  json: boolean;
  watch: boolean;
  cacheMiB: number;
  /** What was said, where it has another meaning that it was not. */
  given: { readonly port: boolean; readonly cache: boolean };
  /** That something shall be gone for good. */
  yes: boolean;
  help: boolean;
  /** Of a node to be added, or of a machine that joins. */
  zone: string | undefined;
  simulate: SimulateArguments;
  /** Where this machine listens for others. */
  listen: ListenAddress | undefined;
  /** The node that a join token is for. */
  node: number | undefined;
  /** For how long a join token can be used. */
  hours: number;
  /** Where cluster state is kept, chosen when the data directory is made; undefined: in the directory. */
  registry: RegistryChoice | undefined;
  /** Where history is kept, likewise. */
  archive: ArchiveWish | undefined;
  /** The machine waits to run the database when the one that does is gone. */
  standby: boolean;
  /** The token with which a standby joins, or a storage node (`rokka node --join`). */
  join: string | undefined;
  restore: RestoreArguments;
  /** Nodes of this machine whose data will not come back. */
  gone: readonly number[];
  /** Where the AWS API is answered; 0 for nowhere. */
  awsPort: number;
  /** Whether Run Command may run scripts on this machine. */
  allowShell: boolean;
}

/** Of databases and their past. */
export interface RestoreArguments {
  /** A snapshot, or a database. */
  from: string | undefined;
  /** A point in time, in milliseconds; undefined for the last one. */
  atMs: number | undefined;
  /** What is not written stays in the archive alone. */
  clone: boolean;
  retentionDays: number | undefined;
}

export interface SimulateArguments {
  /** A range of seeds … */
  from: number;
  seeds: number;
  /** … or one, or a schedule that was kept. */
  seed: number | undefined;
  replay: string | undefined;
  trace: boolean;
  checkDeterminism: boolean;
  /** Where to leave the smallest schedule that still fails. */
  shrink: string | undefined;
}

const NODE_NUMBERS = { least: 1, most: 1 << 20 };
const SEEDS = { least: 0, most: 2 ** 31 - 1 };

export const HELP = `rokka: a Postgres whose every commit lies on four of six copies in three zones

  rokka up        start everything on this machine, and stay; Ctrl-C stops it
  rokka status    members, zones, process ids, durable points      [--json] [--watch]
  rokka stop      stop what "up" started
  rokka doctor    what this machine lacks, and how to get it
  rokka node      the storage nodes: list, add --zone Z, drain N, keep N, replace N, remove N, spares N
  rokka database  further databases, each on a volume and a port of its own: list, create NAME, stop NAME, start NAME,
                    restart NAME, delete NAME --yes  [--port N] [--cache MiB] [--set NAME=VALUE] [--json]
                    and their past: snapshot NAME, snapshots, forget SNAPSHOT --yes,
                    restore NEW --from SNAPSHOT, or --from NAME [--at TIME]; with --clone it shares what is not written
                    [--retention DAYS] of create and restore: how far back it can be restored to (default 1, 0 never);
                    retain NAME --retention DAYS changes it, main's, too, with a restart
  rokka aws …     the AWS CLI on this cluster, as its administrator: rokka aws rds describe-db-clusters
  rokka env       the same for a shell and what runs in it: eval "$(rokka env)"
  rokka simulate  whole clusters on virtual time, with faults, seed by seed
                    [--from N] [--seeds K] [--check-determinism]
                    --seed N | --replay FILE  [--trace] [--shrink FILE]
  rokka token     lets a machine join: --zone Z, --node N (again) or --standby [--hours N] prints a token; list, revoke ID
  rokka join      TOKEN --listen HOST:PORT: makes this machine a storage node of that cluster, and stays;
                    rokka node --join TOKEN --listen HOST:PORT is the same
  rokka help

  --data DIR        where everything is kept           (default .rokka)
  --port N          TCP port for Postgres clients      (default 5432)
  --engine E        auto, native or pglite             (default auto)
  --postgres DIR    bin directory of another PostgreSQL
  --set NAME=VALUE  a setting for PostgreSQL; may be repeated
  --cache MiB       page cache of the volume           (default: an eighth of the memory, 256 to 4096)
  --listen HOST:PORT  of up and join: where other machines reach this one   (default port 7600)
  --registry WHERE  cluster state in etcd: etcd:http://HOST:PORT,HOST:PORT,HOST:PORT; chosen at the first start
                    (for https also --registry-ca, --registry-cert and --registry-key FILE)
  --archive s3://BUCKET[/PREFIX]  the databases' history in a bucket; chosen at the first start; keys from AWS_ACCESS_KEY_ID,
                    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from DIR/secrets/archive.ini, in AWS's format
                    [--archive-region R]   [--archive-endpoint URL] of another service than AWS
  --aws-port N      where the AWS API is answered, on this machine alone; 0 for nowhere   (default 4566)
  --allow-shell     of up: commands that come in by the AWS API may run scripts on this machine, as whoever runs Rokka
  --gone N,N        of up: what these nodes of this machine held is gone for good: go on with what can still be read
  --standby         of up: wait, and run the databases when the machine that does is gone; the first time with
                    --join TOKEN (from rokka token --standby), --listen and --registry
`;

/** The command whose words are another program's. */
const FOREIGN = 'aws';
/** Where emulators of AWS are looked for. */
const AWS_PORT = '4566';

/** Commands that go on in words. */
const WORDY = ['node', 'database', 'token', 'join'];
/** As long as a token may live (trust/join-tokens.ts). */
const TOKEN_HOURS_MAX = 30 * 24;

/** As of the API that people know. */
const RETENTION_DAYS_MAX = 35;

const MIB = 2 ** 20;
const CACHE_MIB_MIN = 256;
const CACHE_MIB_MAX = 4096;

/**
 * Half of what PostgreSQL gets for its own, within bounds: a page that it writes is compared with what it was, and one that
 * is not here is shipped as a whole. The memory is taken as it is needed.
 */
function cacheMiBDefault(): number {
  return Math.max(CACHE_MIB_MIN, Math.min(CACHE_MIB_MAX, Math.floor(machineMemoryBytes() / 8 / MIB)));
}

/** @throws ROKKA_BAD_FLAG, ROKKA_BAD_VALUE */
export function parseArguments(argv: readonly string[]): Arguments {
  // What follows is another program's command line.
  const foreign = argv.indexOf(FOREIGN);
  if (foreign >= 0 && parse(argv.slice(0, foreign)).positionals.length === 0)
    return { ...parseArguments(argv.slice(0, foreign)), command: FOREIGN, words: argv.slice(foreign + 1) };
  const { values, positionals } = parse(argv);
  const [command = 'help', ...words] = positionals;
  if (words.length > 0 && !WORDY.includes(command)) {
    throw rokkaErrors.ROKKA_BAD_FLAG([`one command at a time, not ${positionals.join(' ')}`]);
  }
  const data = values.data ?? process.env['ROKKA_DATA'] ?? '.rokka';
  // An empty variable in a script would otherwise mean the directory where one happens to be.
  if (data === '') throw rokkaErrors.ROKKA_BAD_VALUE(['data', "''", 'the path of a directory']);
  const single = values.seed !== undefined || values.replay !== undefined;
  if (!single && (values.trace || values.shrink !== undefined))
    throw rokkaErrors.ROKKA_BAD_FLAG(['--trace and --shrink go with --seed or --replay']);
  const engine = ENGINES.find((name) => name === (values.engine ?? 'auto'));
  if (!engine)
    throw rokkaErrors.ROKKA_BAD_VALUE(['engine', String(values.engine), `one of ${ENGINES.join(', ')}`]);
  return {
    command,
    words,
    dataDirectory: path.resolve(data),
    port: wholeNumber('port', values.port ?? '5432', { least: 1, most: 65_535 }),
    engine,
    postgres: values.postgres === undefined ? undefined : path.resolve(values.postgres),
    settings: Object.fromEntries((values.set ?? []).map(setting)),
    json: values.json ?? false,
    watch: values.watch ?? false,
    cacheMiB: wholeNumber('cache', values.cache ?? String(cacheMiBDefault()), { least: 16, most: 1 << 20 }),
    given: { port: values.port !== undefined, cache: values.cache !== undefined },
    yes: values.yes ?? false,
    help: values.help ?? false,
    zone: values.zone,
    simulate: {
      from: command === 'simulate' ? wholeNumber('from', values.from ?? '1', SEEDS) : 1,
      seeds: wholeNumber('seeds', values.seeds ?? '100', { ...SEEDS, least: 1 }),
      seed: values.seed === undefined ? undefined : wholeNumber('seed', values.seed, SEEDS),
      replay: values.replay,
      trace: values.trace ?? false,
      checkDeterminism: values['check-determinism'] ?? false,
      shrink: values.shrink,
    },
    listen: values.listen === undefined ? undefined : parseListen(values.listen),
    registry: registryOf(values),
    archive: archiveOf(values),
    standby: values.standby ?? false,
    join: values.join,
    restore: {
      from: values.from,
      atMs: values.at === undefined ? undefined : pointInTime(values.at),
      clone: values.clone ?? false,
      retentionDays:
        values.retention === undefined
          ? undefined
          : wholeNumber('retention', values.retention, { least: 0, most: RETENTION_DAYS_MAX }),
    },
    awsPort: wholeNumber('aws-port', values['aws-port'] ?? process.env['ROKKA_AWS_PORT'] ?? AWS_PORT, {
      least: 0,
      most: 65_535,
    }),
    allowShell: values['allow-shell'] ?? false,
    gone: (values.gone?.split(',') ?? []).map((one) => wholeNumber('gone', one, NODE_NUMBERS)),
    node: values.node === undefined ? undefined : wholeNumber('node', values.node, NODE_NUMBERS),
    hours: wholeNumber('hours', values.hours ?? '1', { least: 1, most: TOKEN_HOURS_MAX }),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        engine: { type: 'string' },
        postgres: { type: 'string' },
        cache: { type: 'string' },
        zone: { type: 'string' },
        listen: { type: 'string' },
        node: { type: 'string' },
        gone: { type: 'string' },
        hours: { type: 'string' },
        registry: { type: 'string' },
        'registry-ca': { type: 'string' },
        'registry-cert': { type: 'string' },
        'registry-key': { type: 'string' },
        archive: { type: 'string' },
        'archive-endpoint': { type: 'string' },
        'archive-region': { type: 'string' },
        standby: { type: 'boolean' },
        'allow-shell': { type: 'boolean' },
        join: { type: 'string' },
        set: { type: 'string', multiple: true },
        json: { type: 'boolean' },
        watch: { type: 'boolean' },
        yes: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        from: { type: 'string' },
        at: { type: 'string' },
        'aws-port': { type: 'string' },
        clone: { type: 'boolean' },
        retention: { type: 'string' },
        seeds: { type: 'string' },
        seed: { type: 'string' },
        replay: { type: 'string' },
        trace: { type: 'boolean' },
        'check-determinism': { type: 'boolean' },
        shrink: { type: 'string' },
      },
    });
  } catch (error) {
    throw rokkaErrors.ROKKA_BAD_FLAG([(error as Error).message.split('.')[0] ?? 'bad arguments'], {
      cause: error,
    });
  }
}

/** @throws ROKKA_BAD_FLAG, ROKKA_BAD_VALUE, REGISTRY_BAD_LOCATION */
function registryOf(values: ReturnType<typeof parse>['values']): RegistryChoice | undefined {
  const { registry: location, 'registry-ca': ca, 'registry-cert': cert, 'registry-key': key } = values;
  if (location === undefined) {
    if (ca ?? cert ?? key)
      throw rokkaErrors.ROKKA_BAD_FLAG(['--registry-ca, -cert and -key go with --registry']);
    return undefined;
  }
  if (parseRegistryLocation(location).kind !== 'etcd')
    throw rokkaErrors.ROKKA_BAD_VALUE([
      'registry',
      location,
      'etcd:http://HOST:PORT,…; without the flag SQLite is used',
    ]);
  return {
    location,
    ...(ca !== undefined && { ca: path.resolve(ca) }),
    ...(cert !== undefined && { cert: path.resolve(cert) }),
    ...(key !== undefined && { key: path.resolve(key) }),
  };
}

/** @throws ROKKA_BAD_FLAG, ROKKA_BAD_VALUE */
function archiveOf(values: ReturnType<typeof parse>['values']): ArchiveWish | undefined {
  const archive = parseArchive(values);
  if (archive && values.standby)
    throw rokkaErrors.ROKKA_BAD_FLAG([
      '--archive does not go with --standby, which finds in the registry where it is',
    ]);
  return archive;
}

/** @throws ROKKA_BAD_VALUE */
function pointInTime(text: string): number {
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs))
    throw rokkaErrors.ROKKA_BAD_VALUE(['at', text, 'a time such as 2026-11-28T20:15:00Z']);
  return atMs;
}

function setting(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw rokkaErrors.ROKKA_BAD_VALUE(['set', text, 'NAME=VALUE']);
  return [text.slice(0, at), text.slice(at + 1)];
}

function wholeNumber(flag: string, value: string, range: { least: number; most: number }): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < range.least || number > range.most) {
    throw rokkaErrors.ROKKA_BAD_VALUE([flag, value, `a whole number from ${range.least} to ${range.most}`]);
  }
  return number;
}
