/** A command with its invocations, as the registry has them. */
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type CommandState, commandState, errorsAmong } from './command-status.ts';
import { detailsOf, hasBegun, type InvocationDetails, isEnd } from './invocation-status.ts';
import { concurrencyMax, errorsMax, mayBegin } from './rate-control.ts';
import {
  type CommandInstance,
  type CommandRecord,
  type InvocationRecord,
  recordKeys,
  recordPrefixes,
} from './ssm-records.ts';

export interface CommandFacts {
  readonly command: CommandRecord;
  /** By instance. */
  readonly invocations: ReadonlyMap<string, InvocationRecord>;
  /** Machines whose agents have told of themselves lately. */
  readonly online: ReadonlySet<string>;
}

const NOBODY: ReadonlySet<string> = new Set();

/**
 * What has ended is never more than what there is: the command is read first, and its invocations never lose anything.
 * @param of.online is of no matter for what may begin or has ended
 */
export async function readCommand(
  of: { store: RecordStore; online?: ReadonlySet<string> },
  scope: Scope,
  id: string,
): Promise<CommandFacts | undefined> {
  const command = await of.store.get<CommandRecord>(recordKeys.command(scope, id));
  if (!command) return undefined;
  const records = await of.store.list<InvocationRecord>(recordPrefixes.invocations(scope, id));
  return { command, invocations: byInstance(records), online: of.online ?? NOBODY };
}

export const byInstance = (records: readonly InvocationRecord[]) =>
  new Map(records.map((record) => [record.instance, record]));

export const invocationDetails = (
  { command, invocations, online }: CommandFacts,
  { id, machineKey }: CommandInstance,
): InvocationDetails =>
  detailsOf({ command, instance: id, record: invocations.get(id), isOnline: online.has(machineKey) });

const allDetails = (facts: CommandFacts) =>
  facts.command.instances.map((instance) => invocationDetails(facts, instance));

export const stateOf = (facts: CommandFacts): CommandState =>
  commandState({
    invocations: allDetails(facts),
    errorsMax: errorsMaxOf(facts.command),
    isCancelled: facts.command.cancelledAtMs !== undefined,
  });

export const isFinished = (facts: CommandFacts) => allDetails(facts).every(isEnd);

const errorsMaxOf = ({ maxErrors, instances }: CommandRecord) => errorsMax(maxErrors, instances.length);

export const hasTooManyErrors = (facts: CommandFacts) =>
  errorsAmong(allDetails(facts)) > errorsMaxOf(facts.command);

/** Whether one more may begin at all. */
export function letsBegin(facts: CommandFacts): boolean {
  const { command, invocations } = facts;
  const begun = command.instances.filter(({ id }) => hasBegun(command, id));
  const ended = begun.filter(({ id }) => invocations.get(id)?.end).length;
  return mayBegin({
    running: begun.length - ended,
    ended,
    errors: errorsAmong(allDetails(facts)),
    errorsMax: errorsMaxOf(command),
    concurrencyMax: concurrencyMax(command.maxConcurrency, command.instances.length),
  });
}

/** Whether this one has neither begun nor ended. */
export const isWaiting = ({ closed, ...command }: CommandRecord, instance: string) =>
  !closed && !hasBegun(command, instance) && !Object.hasOwn(command.cancelled, instance);

/** At which none begins any more. */
export const deliveryEndsAtMs = ({ requestedAtMs, deliverySeconds }: CommandRecord) =>
  requestedAtMs + deliverySeconds * 1000;

/** At which all must have ended. */
export const expiresAtMs = (command: CommandRecord) =>
  deliveryEndsAtMs(command) + command.executionSeconds * 1000;
