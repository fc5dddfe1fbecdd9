/** `rokka database …`: further databases of the cluster. Asks the running supervisor, and waits until it is as it was wished. */
import * as fs from 'node:fs';
import { systemClock, unreachable } from '@rokka/kernel';
import { connectionString, type NewDatabase, secretFile } from '@rokka/databases';
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import { dataPaths } from '../data-directory.ts';
import { type DatabaseStatus, describeDatabases } from '../databases/database-status.ts';
import { rokkaErrors } from '../errors.ts';
import { Terminal } from '../terminal.ts';
import { databasePast, PAST_ACTIONS } from './database-past.ts';

export const DATABASE_ACTIONS = ['list', 'create', 'stop', 'start', 'restart', 'delete', 'retain'] as const;
export type DatabaseAction = (typeof DATABASE_ACTIONS)[number];

export type DatabaseRequest =
  | { readonly action: 'list' }
  | { readonly action: 'create'; readonly database: Omit<NewDatabase, 'engine'> }
  | { readonly action: 'retain'; readonly name: string; readonly retentionDays: number }
  | { readonly action: Exclude<DatabaseAction, 'list' | 'create' | 'retain'>; readonly name: string };

const LOOK_AGAIN_MS = 200;
/** initdb on a slow machine, or the recovery of a large database. Whoever waits no longer loses nothing: it goes on. */
const PATIENCE_MS = 900_000;

export async function database(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  if (PAST_ACTIONS.some((action) => action === args.words[0])) return past(args, terminal);
  const request = requestOf(args);
  const restarts = request.action === 'restart' || request.action === 'retain';
  const before = restarts ? await find(args, request.name) : undefined;
  const { databases } = await ask(args, request);
  if (request.action === 'list') {
    terminal.line(args.json ? JSON.stringify(databases) : describeDatabases(databases));
    return 0;
  }
  const name = request.action === 'create' ? request.database.name : request.name;
  const isThere = goalOf(request.action, before);
  const reached = await waitFor(args, { name, isThere, terminal, databases });
  report(args, { request, name, reached, terminal });
  return 0;
}

async function past(args: Arguments, terminal: Terminal): Promise<number> {
  const name = await databasePast(args);
  if (name === undefined) return 0;
  const { databases } = await ask(args, { action: 'list' });
  const isThere = goalOf('create', undefined);
  const restored = await waitFor(args, { name, isThere, terminal, databases });
  if (restored) terminal.line(args.json ? JSON.stringify(restored) : greeting(args, restored));
  return 0;
}

/** @throws ROKKA_BAD_FLAG */
function requestOf(args: Arguments): DatabaseRequest {
  const [word = 'list', name, ...rest] = args.words;
  const action = DATABASE_ACTIONS.find((one) => one === word);
  if (!action)
    throw rokkaErrors.ROKKA_BAD_FLAG([
      `rokka database ${word}: it is one of ${[...DATABASE_ACTIONS, ...PAST_ACTIONS].join(', ')}`,
    ]);
  if (action === 'list') {
    if (name !== undefined) throw rokkaErrors.ROKKA_BAD_FLAG([`rokka database list takes no ${name}`]);
    return { action };
  }
  if (name === undefined || rest.length > 0)
    throw rokkaErrors.ROKKA_BAD_FLAG([`rokka database ${action} NAME, the name of one database`]);
  if (action === 'delete' && !args.yes)
    throw rokkaErrors.ROKKA_BAD_FLAG([
      `rokka database delete ${name} --yes: everything in it is gone for good`,
    ]);
  if (action === 'retain') {
    const { retentionDays } = args.restore;
    if (retentionDays === undefined)
      throw rokkaErrors.ROKKA_BAD_FLAG([`rokka database retain ${name} --retention DAYS`]);
    return { action, name, retentionDays };
  }
  if (action !== 'create') return { action, name };
  const { port, cacheMiB, settings, given } = args;
  return {
    action,
    database: {
      name,
      settings,
      ...(given.port ? { port } : {}),
      ...(given.cache ? { cacheMiB } : {}),
      ...(args.restore.retentionDays === undefined ? {} : { retentionDays: args.restore.retentionDays }),
    },
  };
}

type Goal = (database: DatabaseStatus | undefined) => boolean;

/** @param before the database as it was before it was asked to restart */
function goalOf(action: DatabaseAction, before: DatabaseStatus | undefined): Goal {
  switch (action) {
    case 'delete':
      return (found) => found === undefined;
    case 'stop':
      return (found) => found?.phase === 'stopped';
    case 'retain':
    case 'restart':
      return (found) =>
        found?.phase === 'available' && (found.runningGeneration ?? 0) > (before?.generation ?? 0);
    case 'list':
    case 'create':
    case 'start':
      return (found) => found?.phase === 'available';
    default:
      return unreachable(action);
  }
}

/** @throws ROKKA_DATABASE_FAILED where an attempt has failed, ROKKA_DATABASE_LATE */
async function waitFor(
  args: Arguments,
  of: { name: string; isThere: Goal; terminal: Terminal; databases: readonly DatabaseStatus[] },
): Promise<DatabaseStatus | undefined> {
  const { name, isThere, terminal } = of;
  let { databases } = of;
  const untilMs = systemClock.nowMs() + PATIENCE_MS;
  let shown = '';
  // What was so before it was asked for is no answer.
  const askedOf = databases.find((one) => one.name === name)?.phaseAtMs;
  for (;;) {
    const found = databases.find((one) => one.name === name);
    if (isThere(found)) return found;
    if (!found) throw rokkaErrors.ROKKA_DATABASE_FAILED([name, 'it was deleted meanwhile']);
    if (found.phase === 'failed' && found.phaseAtMs !== askedOf)
      throw rokkaErrors.ROKKA_DATABASE_FAILED([name, found.reason ?? '']);
    const text = [`${name}: ${found.phase}`, found.reason ?? found.progress].filter(Boolean).join(', ');
    if (text !== shown) terminal.progress(`rokka: ${text}`);
    shown = text;
    if (systemClock.nowMs() > untilMs)
      throw rokkaErrors.ROKKA_DATABASE_LATE([name, found.phase, PATIENCE_MS]);
    await systemClock.sleep(LOOK_AGAIN_MS);
    ({ databases } = await ask(args, { action: 'list' }));
  }
}

function report(
  args: Arguments,
  of: {
    request: Exclude<DatabaseRequest, { action: 'list' }>;
    name: string;
    reached: DatabaseStatus | undefined;
    terminal: Terminal;
  },
): void {
  const { request, name, reached, terminal } = of;
  if (args.json) {
    terminal.line(JSON.stringify(reached ?? null));
    return;
  }
  if (request.action === 'delete') terminal.line(`database ${name} is gone, with everything that was in it`);
  else if (request.action === 'stop')
    terminal.line(`database ${name} is stopped; rokka database start ${name}`);
  else if (reached) terminal.line(greeting(args, reached));
}

/** How to connect, as `rokka up` says it of main. */
function greeting(args: Arguments, { name, port, userName, databaseName }: DatabaseStatus): string {
  const file = secretFile(dataPaths.secrets(args.dataDirectory), name);
  const target = {
    host: '127.0.0.1',
    port,
    user: userName,
    database: databaseName,
    password: fs.readFileSync(file, 'utf8').trim(),
  };
  return `database ${name} is up, PostgreSQL on port ${port}\n  psql '${connectionString(target)}'`;
}

async function find(args: Arguments, name: string): Promise<DatabaseStatus | undefined> {
  return (await ask(args, { action: 'list' })).databases.find((one) => one.name === name);
}

function ask(args: Arguments, request: DatabaseRequest): Promise<{ databases: DatabaseStatus[] }> {
  return askControl(args.dataDirectory, CONTROL.DATABASE, request);
}
