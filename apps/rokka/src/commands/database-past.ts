/** `rokka database snapshot`, `snapshots`, `forget` and `restore`. Asks the running supervisor, and waits until it is done. */
import { systemClock } from '@rokka/kernel';
import type { SnapshotRecord } from '@rokka/databases';
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import type { PastAnswer, PastRequest } from '../databases/database-past.ts';
import { rokkaErrors } from '../errors.ts';
import { table, Terminal } from '../terminal.ts';

export const PAST_ACTIONS = ['snapshot', 'snapshots', 'forget', 'restore'] as const;

const LOOK_AGAIN_MS = 50;
/** All of a database may have to be copied first, where its archive begins anew. */
const PATIENCE_MS = 900_000;

/** @returns the database to wait for, where one is restored */
export async function databasePast(args: Arguments): Promise<string | undefined> {
  const terminal = new Terminal();
  const request = requestOf(args);
  const { snapshots, made } = await ask(args, request);
  if (request.action === 'restore') return request.database.name;
  if (request.action === 'forget') terminal.line(`snapshot ${request.snapshot} is forgotten`);
  else if (made) await waitFor(args, made, terminal);
  else terminal.line(args.json ? JSON.stringify(snapshots) : describeSnapshots(snapshots));
  return undefined;
}

/** @throws ROKKA_BAD_FLAG */
function requestOf(args: Arguments): PastRequest {
  const [action, name, ...rest] = args.words;
  if (action === 'snapshots' && name === undefined) return { action };
  if (name === undefined || rest.length > 0)
    throw rokkaErrors.ROKKA_BAD_FLAG([`rokka database ${action} takes one name`]);
  if (action === 'snapshot') return { action, name };
  if (action === 'forget') {
    if (!args.yes)
      throw rokkaErrors.ROKKA_BAD_FLAG([
        `rokka database forget ${name} --yes: nothing can be restored from it any more`,
      ]);
    return { action, snapshot: name };
  }
  const { port, cacheMiB, settings, given, restore } = args;
  const { from, atMs, clone, retentionDays } = restore;
  if (from === undefined)
    throw rokkaErrors.ROKKA_BAD_FLAG([`rokka database restore ${name} --from SNAPSHOT, or --from DATABASE`]);
  const isSnapshot = from.startsWith('snap-');
  if (isSnapshot && atMs !== undefined)
    throw rokkaErrors.ROKKA_BAD_FLAG(['--at goes with --from DATABASE: a snapshot is one point already']);
  return {
    action: 'restore',
    database: {
      name,
      settings,
      ...(given.port ? { port } : {}),
      ...(given.cache ? { cacheMiB } : {}),
      ...(retentionDays === undefined ? {} : { retentionDays }),
    },
    from: isSnapshot ? { snapshot: from } : { database: from, ...(atMs === undefined ? {} : { atMs }) },
    materialise: !clone,
  };
}

async function waitFor(
  args: Arguments,
  { name, database }: SnapshotRecord,
  terminal: Terminal,
): Promise<void> {
  terminal.progress(`rokka: ${database} is brought to the archive`);
  for (const untilMs = systemClock.nowMs() + PATIENCE_MS; systemClock.nowMs() < untilMs;) {
    const { snapshots } = await ask(args, { action: 'snapshots' });
    const found = snapshots.find((one) => one.name === name);
    if (!found || found.phase === 'failed')
      throw rokkaErrors.ROKKA_SNAPSHOT_FAILED([database, found?.reason ?? 'it was forgotten meanwhile']);
    if (found.phase === 'available') {
      terminal.line(
        args.json
          ? JSON.stringify(found)
          : `snapshot ${name} of ${database} is kept\n  rokka database restore NEW --from ${name}`,
      );
      return;
    }
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
  throw rokkaErrors.ROKKA_DATABASE_LATE([database, 'creating a snapshot', PATIENCE_MS]);
}

function describeSnapshots(snapshots: readonly SnapshotRecord[]): string {
  const time = (ms: number | undefined) => (ms === undefined ? '' : new Date(ms).toISOString());
  return table(
    ['snapshot', 'database', 'taken', 'phase', ''],
    snapshots.map(({ name, database, takenAtMs, phase, reason }) => [
      name,
      database,
      time(takenAtMs),
      phase,
      reason ?? '',
    ]),
  );
}

function ask(args: Arguments, request: PastRequest): Promise<PastAnswer> {
  return askControl(args.dataDirectory, CONTROL.PAST, request);
}
