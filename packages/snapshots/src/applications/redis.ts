/**
 * How a Redis or Valkey server is started again. It writes its title over its arguments and some of its environment, so /proc does not show how it
 * was started; but it says itself how it is set (CONFIG GET), and takes all of that from its standard input after its file of settings.
 *
 * That a server takes what it has said is tried before it is stopped, by another one of the same program in a directory of its own.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { describeError } from '@rokka/kernel';
import { PrivateServer, socketIn } from '../writers/private-server.ts';
import { RedisClient } from '../writers/redis/client.ts';
import { addressOf } from '../writers/redis/kind.ts';
import type { ServerProcess } from '../writers/server-processes.ts';
import { type ProcessFacts, Unlike } from './process-facts.ts';
import type { ServerSpecies } from './servers.ts';

export const REDIS: ServerSpecies = {
  kind: 'redis',
  programs: ['redis-server', 'valkey-server'],
  title: 'Redis',
  // It writes what it keeps, and ends.
  stopSignal: 'SIGTERM',
  parts: async (directory) => [directory],
  command: redisCommand,
};

/** Where it has written over its own. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

type Settings = ReadonlyMap<string, string>;

/** @throws Unlike; the signal's reason */
async function redisCommand(server: ServerProcess, facts: ProcessFacts, signal: AbortSignal) {
  const { argv } = facts;
  const [title = ''] = argv;
  const exe = await programOf(facts.exe, title.split(' ')[0] ?? '');
  const { settings, file, users } = await told(server, signal);
  const fromFile = file === '' ? [] : [file];
  const lines = [...settingLines(settings), ...(file === '' ? users : [])];
  await tryOut({ ...facts, exe }, lines, signal);
  const env = { PATH: SYSTEM_PATH, ...facts.env };
  return { exe, env, argv: [exe, ...fromFile, '-'], input: `${lines.join('\n')}\n` };
}

/** One program is several, by the names that lead to it: a distribution may have made the server a link to a tool. */
async function programOf(exe: string, title: string): Promise<string> {
  const named = path.join(path.dirname(exe), path.basename(title));
  const leads = await fs.realpath(named).catch(() => undefined);
  return leads === exe ? named : exe;
}

async function told(server: ServerProcess, signal: AbortSignal) {
  const what = `${server.program} ${server.pid} at ${server.directory}`;
  try {
    await using client = await RedisClient.open({ server: what, at: addressOf(server, what) }, signal);
    const { config_file: file = '', process_id: pid } = await client.info(signal);
    // This process may connect to sockets that the server's account may not, and where the name of one leads can be changed.
    if (pid !== String(server.pid)) throw new Unlike(`another server answers in its place (pid ${pid})`);
    const settings = pairs(await client.command(['CONFIG', 'GET', '*'], signal));
    const modules = await client.command(['MODULE', 'LIST'], signal);
    if (file === '' && Array.isArray(modules) && modules.length > 0)
      throw new Unlike('it has modules that no file of settings names');
    // Where there is a file of users, they are there.
    const users = settings.get('aclfile') ? [] : await client.command(['ACL', 'LIST'], signal);
    return { settings, file, users: Array.isArray(users) ? users.map(String) : [] };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Unlike) throw error;
    throw new Unlike(`it does not say how it is set: ${describeError(error)}`);
  }
}

function pairs(reply: unknown): Settings {
  const words = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(words.flatMap((name, at) => (at % 2 === 0 ? [[name, words[at + 1] ?? '']] : [])));
}

/** Several words each, or several times several. */
const WORDS = ['bind', 'replicaof', 'oom-score-adj-values', 'latency-tracking-info-percentiles'];
const LIMITS = 'client-output-buffer-limit';
const LIMIT_WORDS = 4;
const SAVE = 'save';
const SAVE_WORDS = 2;

/** As its file of settings has them, from what it says of itself. */
export function settingLines(settings: Settings): string[] {
  return [...settings].flatMap(([name, value]) => {
    const lines = (length: number) =>
      groups(value.split(' '), length).map((each) => [name, ...each].join(' '));
    if (name === SAVE) return [`${SAVE} ""`, ...(value === '' ? [] : lines(SAVE_WORDS))];
    // The same under an old name.
    if (value === '' || name.includes('slave')) return [];
    if (name === LIMITS) return lines(LIMIT_WORDS);
    return [`${name} ${WORDS.includes(name) ? value : JSON.stringify(value)}`];
  });
}

function groups(words: readonly string[], length: number): string[][] {
  const count = Math.ceil(words.length / length);
  return Array.from({ length: count }, (_, at) => words.slice(at * length, (at + 1) * length));
}

/** Set so, but where it listens, what it writes, and whom it follows. */
const ELSEWHERE = {
  port: '0',
  'tls-port': '0',
  'cluster-enabled': 'no',
  appendonly: 'no',
  daemonize: 'no',
  supervised: 'no',
};
const NOWHERE = ['replicaof', 'logfile', 'pidfile', 'unixsocket', 'dir', SAVE];

/** @throws Unlike; the signal's reason */
async function tryOut(facts: ProcessFacts, lines: readonly string[], signal: AbortSignal): Promise<void> {
  const { exe, uid, gid } = facts;
  const isOther = (line: string) =>
    [...Object.keys(ELSEWHERE), ...NOWHERE].includes(line.split(' ')[0] ?? '');
  const known = new Set(lines.map((line) => line.split(' ')[0]));
  const others = Object.entries(ELSEWHERE).filter(([name]) => known.has(name));
  const text = [
    ...lines.filter((line) => !isOther(line)),
    ...others.map((pair) => pair.join(' ')),
    'save ""',
  ];
  // It goes with this process, however that ends.
  const mortal = ['--no-new-privs', '--pdeathsig', 'KILL', '--'];
  const rights = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...mortal];
  const asOwner = process.getuid?.() === 0 ? rights : [];
  try {
    await using _ = await PrivateServer.start({
      what: `a trial of ${exe}`,
      account: { uid, gid },
      files: { settings: `${text.join('\n')}\n` },
      command: (directory) => [
        ...asOwner,
        exe,
        `${directory}/settings`,
        '--dir',
        directory,
        '--unixsocket',
        socketIn(directory),
      ],
      ready: /ready to accept connections/i,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new Unlike(`a server that is set as it is does not start: ${describeError(error)}`);
  }
}
