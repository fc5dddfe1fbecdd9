/** The steps of keeping.ts for snapshots, carried out. */
import { unreachable } from '@rokka/kernel';
import { isKept, isUnkept } from '../database-making.ts';
import { BootMirror } from './boot-mirror.ts';
import type { StepContext } from './ec2-context.ts';
import { OWNER, recordKeys, type SnapshotRecord, type SnapshotSetRecord } from './ec2-records.ts';
import type { SnapshotStep } from './keeping.ts';
import { changeSnapshot, type SnapshotFacts } from './snapshot-facts.ts';

export async function carryOutSnapshot(
  of: StepContext,
  facts: SnapshotFacts,
  step: SnapshotStep,
): Promise<void> {
  const { record, kept } = facts;
  switch (step) {
    case 'none':
      return;
    case 'keep':
      return keep(of, facts);
    case 'complete': {
      const completedAtMs = kept?.takenAtMs ?? of.clock.wallMs();
      return change(of, facts, (found) =>
        found.completedAtMs === undefined ? { ...found, completedAtMs } : found,
      );
    }
    case 'fail': {
      const failure = kept?.reason ?? 'unknown';
      return change(of, facts, (found) => (found.failure === undefined ? { ...found, failure } : found));
    }
    case 'drop':
      return of.snapshots.remove(record.kept);
    case 'forget':
      await forget(of, facts);
      return;
    default:
      return unreachable(step);
  }
}

/**
 * No record names it any more: were this cut short in between, the keeper would remove what it kept.
 * @param check throws where it must stay
 */
export async function forget(
  of: StepContext,
  facts: SnapshotFacts,
  check: (found: SnapshotRecord) => void = () => {},
): Promise<boolean> {
  const removing = (found: SnapshotRecord) => {
    check(found);
    return undefined;
  };
  const removed = await changeSnapshot(of.store, of.scope, { facts, change: removing });
  if (removed) await of.snapshots.remove(facts.record.kept);
  return removed;
}

async function keep(of: StepContext, facts: SnapshotFacts): Promise<void> {
  const { snapshots, databases } = of;
  const { record, set } = facts;
  const wish = { name: record.kept, owner: OWNER, ...(set && { set: { id: set.id, size: set.size } }) };
  try {
    if (record.copyOf) await snapshots.copy(record.copyOf.kept, wish);
    else if (record.ofBoot !== undefined) {
      const { database, version } = await new BootMirror(of).want();
      await snapshots.request(database, { ...wish, stateCopy: version });
    } else {
      const database = await databases.get(record.volume.id);
      if (database.desired === 'deleted') return await fail(of, facts, 'its volume is being deleted');
      await snapshots.request(database, wish);
    }
  } catch (error) {
    if (!isUnkept(error)) throw error;
    await fail(of, facts, (error as Error).message);
  }
}

/** For good, unless it is kept after all. Of a set none is made without the others. */
async function fail(of: StepContext, facts: SnapshotFacts, failure: string): Promise<void> {
  const { store, scope } = of;
  if (await isKept(of, facts.record.kept)) return;
  if (!facts.set) return change(of, facts, (found) => ({ ...found, failure }));
  await store.change<SnapshotSetRecord>(recordKeys.set(scope, facts.set.id), (found) =>
    found && found.failure === undefined ? { ...found, failure } : found,
  );
}

async function change(
  { store, scope }: StepContext,
  facts: SnapshotFacts,
  changing: (found: SnapshotRecord) => SnapshotRecord,
): Promise<void> {
  await changeSnapshot(store, scope, { facts, change: changing });
}
