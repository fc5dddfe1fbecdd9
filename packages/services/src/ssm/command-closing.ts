/**
 * What has to be written of a command when nobody does anything: that no more begin, that those who have said nothing for too long have
 * ended, and that all of it has. Anybody may do it at any time, several at once.
 */
import type { Clock } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import {
  type CommandFacts,
  deliveryEndsAtMs,
  expiresAtMs,
  hasTooManyErrors,
  isFinished,
  isWaiting,
  readCommand,
} from './command-facts.ts';
import { hasBegun, isToBeCancelled } from './invocation-status.ts';
import {
  type CommandRecord,
  type EndDetails,
  type InvocationRecord,
  type OpenCommand,
  recordKeys,
} from './ssm-records.ts';
import type { StepResult } from './step-results.ts';

/** In which the last word of an agent may still come, after the time in which it had to end. */
const LATE_MS = 30_000;

type Of = { readonly store: RecordStore; readonly clock: Clock };

/** @throws SERVICE_RECORD_BUSY, errors of the registry */
export async function closeWhatIsOver(of: Of, { id, ...scope }: OpenCommand): Promise<void> {
  const { store, clock } = of;
  const nowMs = clock.wallMs();
  let facts = await readCommand(of, scope, id);
  if (facts && !facts.command.finishedAtMs) {
    const known = facts;
    const closing = closingOf(facts, nowMs);
    if (closing) await closeCommand(store, scope, { id, closing: { as: closing, atMs: nowMs } });
    for (const instance of lostAmong(facts, nowMs))
      await endInvocation(store, scope, {
        command: id,
        instance,
        details: isToBeCancelled(known.command, instance) ? 'Cancelled' : 'DeliveryTimedOut',
        atMs: nowMs,
      });
    facts = await readCommand(of, scope, id);
    if (facts && !isFinished(facts)) return;
    await changeCommand(store, scope, {
      id,
      change: (found) => (found.finishedAtMs === undefined ? { ...found, finishedAtMs: nowMs } : found),
    });
  }
  await store.change(recordKeys.open(id), () => undefined);
}

/** Why no more may begin. */
function closingOf(facts: CommandFacts, nowMs: number): 'Terminated' | 'DeliveryTimedOut' | undefined {
  const { command } = facts;
  if (!command.instances.some(({ id }) => isWaiting(command, id))) return undefined;
  if (hasTooManyErrors(facts)) return 'Terminated';
  return nowMs >= deliveryEndsAtMs(command) ? 'DeliveryTimedOut' : undefined;
}

/** They have begun, and their time is up. */
function lostAmong({ command, invocations }: CommandFacts, nowMs: number): string[] {
  if (nowMs < expiresAtMs(command) + LATE_MS) return [];
  const begun = command.instances.filter(({ id }) => hasBegun(command, id));
  return begun.map(({ id }) => id).filter((id) => !invocations.get(id)?.end);
}

async function closeCommand(
  store: RecordStore,
  scope: Scope,
  of: { id: string; closing: NonNullable<CommandRecord['closed']> },
): Promise<void> {
  await changeCommand(store, scope, {
    id: of.id,
    change: (found) => (found.closed ? found : { ...found, closed: of.closing }),
  });
}

/** One that is gone stays gone. @returns whether this call has changed it */
export async function changeCommand(
  store: RecordStore,
  scope: Scope,
  of: { id: string; change: (found: CommandRecord) => CommandRecord },
): Promise<boolean> {
  const { changed } = await store.change<CommandRecord>(recordKeys.command(scope, of.id), (found) =>
    found ? of.change(found) : undefined,
  );
  return changed;
}

/** Once: what was said first counts. @returns whether this call has ended it */
export async function endInvocation(
  store: RecordStore,
  scope: Scope,
  of: {
    command: string;
    instance: string;
    details: EndDetails;
    atMs: number;
    steps?: readonly StepResult[];
  },
): Promise<boolean> {
  const { command, instance, details, atMs } = of;
  const { changed } = await store.change<InvocationRecord>(
    recordKeys.invocation(scope, command, instance),
    (found) =>
      found?.end
        ? found
        : { command, instance, steps: of.steps ?? found?.steps ?? [], end: { details, atMs } },
  );
  return changed;
}
