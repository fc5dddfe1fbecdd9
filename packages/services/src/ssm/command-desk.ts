/**
 * Where the agent of a machine asks what it shall carry out, and tells how it goes. Whoever asks is trusted to be that machine.
 *
 * An invocation begins once and ends once: `begin` is a compare-and-set of the command's record, which also says what was cancelled and
 * closed; `end` one of the invocation's. An agent that crashes between them finds the invocation among its deliveries again, as begun.
 */
import type { Clock } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type AgentFacts, tellOfAgent } from './agents.ts';
import { changeCommand, closeWhatIsOver, endInvocation } from './command-closing.ts';
import { deliveryEndsAtMs, expiresAtMs, isWaiting, letsBegin, readCommand } from './command-facts.ts';
import type { DocumentStep, ParameterValues } from './documents/document-model.ts';
import { hasBegun, isToBeCancelled } from './invocation-status.ts';
import {
  type CommandRecord,
  type EndDetails,
  type InvocationRecord,
  type OpenCommand,
  recordKeys,
  recordPrefixes,
} from './ssm-records.ts';
import { keptSteps, type StepResult } from './step-results.ts';

/** One machine's part of a command. */
export interface Delivery {
  readonly scope: Scope;
  /** Of the command: a UUID. */
  readonly command: string;
  /** `i-…`. */
  readonly instance: string;
  readonly machineKey: string;
  readonly document: DeliveredDocument;
  /** That all steps may take together. */
  readonly executionSeconds: number;
  /** At which it must have ended. */
  readonly expiresAtMs: number;
  /** It has begun then, and is to be gone on with. */
  readonly begunAtMs: number | undefined;
  /** What was last reported of a begun one. */
  readonly steps: readonly StepResult[];
}

export interface DeliveredDocument {
  readonly name: string;
  readonly version: string;
  /** With the values of parameters in their places. */
  readonly steps: readonly DocumentStep[];
  /** All of them, given or default. */
  readonly parameters: ParameterValues;
}

/** How a document ended on a machine. */
export type Ending = { readonly steps: readonly StepResult[] } & (
  | { readonly status: 'Success' | 'Cancelled' }
  /** `details` where there is more to say: they do not count against MaxErrors. */
  | { readonly status: 'Failed'; readonly details?: 'Undeliverable' | 'InvalidPlatform' | 'AccessDenied' }
  /** It took longer than it may. */
  | { readonly status: 'TimedOut' }
);

export class CommandDesk {
  readonly #of: { readonly store: RecordStore; readonly clock: Clock };

  constructor(of: { registry: Registry; clock: Clock }) {
    this.#of = { clock: of.clock, store: new RecordStore({ registry: of.registry, service: 'ssm' }) };
  }

  /**
   * That an agent is there, and what it is. It counts as lost a minute after the last time.
   * @throws SERVICE_RECORD_BUSY, errors of the registry
   */
  hello(agent: AgentFacts): Promise<void> {
    return tellOfAgent(this.#of, agent);
  }

  /**
   * What this machine has begun and not ended, and what it may begin now; the older command first. What may begin is said to several
   * machines: `begin` decides.
   * @throws errors of the registry
   */
  async deliveries(machineKey: string): Promise<Delivery[]> {
    const open = await this.#of.store.list<OpenCommand>(recordPrefixes.open);
    const found = await Promise.all(open.map((each) => this.#deliveriesOf(each, machineKey)));
    return found
      .flat()
      .sort((a, b) => a.requestedAtMs - b.requestedAtMs)
      .map(({ delivery }) => delivery);
  }

  /**
   * True where this call has begun it: then it is this agent's to carry out. False where it was cancelled or has expired, has begun
   * before, or must wait for others now.
   * @throws SERVICE_RECORD_BUSY, errors of the registry; then it may have begun, and is found among the deliveries
   */
  async begin({ scope, command: id, instance }: Delivery): Promise<boolean> {
    const { store, clock } = this.#of;
    const facts = await readCommand(this.#of, scope, id);
    if (!facts) return false;
    return changeCommand(store, scope, {
      id,
      change: (found) => {
        const nowMs = clock.wallMs();
        const isOver = nowMs >= deliveryEndsAtMs(found);
        // Invocations that have ended meanwhile count as running here, so at worst this one is asked for again.
        if (isOver || !isWaiting(found, instance) || !letsBegin({ ...facts, command: found })) return found;
        return { ...found, begun: { ...found.begun, [instance]: nowMs } };
      },
    });
  }

  /** Whether it shall end as soon as it can. Also where the command is gone. */
  async isCancelled({ scope, command, instance }: Delivery): Promise<boolean> {
    const found = await this.#of.store.get<CommandRecord>(recordKeys.command(scope, command));
    return !found || isToBeCancelled(found, instance);
  }

  /**
   * What its steps have come to so far. Nothing is changed of one that has not begun or has ended.
   * @throws SERVICE_RECORD_BUSY, errors of the registry
   */
  async report(delivery: Delivery, steps: readonly StepResult[]): Promise<void> {
    if (!(await this.#hasBegun(delivery))) return;
    const { scope, command, instance } = delivery;
    await this.#of.store.change<InvocationRecord>(recordKeys.invocation(scope, command, instance), (found) =>
      found?.end ? found : { command, instance, steps: keptSteps(steps) },
    );
  }

  /**
   * That it has ended. Said again, also otherwise, it changes nothing.
   * @returns whether this call has ended it
   * @throws SERVICE_RECORD_BUSY, errors of the registry; then say it again
   */
  async end(delivery: Delivery, ending: Ending): Promise<boolean> {
    if (!(await this.#hasBegun(delivery))) return false;
    const { scope, command, instance } = delivery;
    const { store, clock } = this.#of;
    const hasEnded = await endInvocation(store, scope, {
      command,
      instance,
      details: detailsOf(ending),
      atMs: clock.wallMs(),
      steps: keptSteps(ending.steps),
    });
    await closeWhatIsOver(this.#of, { ...scope, id: command });
    return hasEnded;
  }

  async #hasBegun({ scope, command, instance }: Delivery): Promise<boolean> {
    const found = await this.#of.store.get<CommandRecord>(recordKeys.command(scope, command));
    return found !== undefined && hasBegun(found, instance);
  }

  async #deliveriesOf(
    { id, ...scope }: OpenCommand,
    machineKey: string,
  ): Promise<{ requestedAtMs: number; delivery: Delivery }[]> {
    const facts = await readCommand(this.#of, scope, id);
    if (!facts) return [];
    const { command, invocations } = facts;
    const mayBegin = this.#of.clock.wallMs() < deliveryEndsAtMs(command) && letsBegin(facts);
    return command.instances
      .filter((each) => each.machineKey === machineKey)
      .filter((each) =>
        hasBegun(command, each.id) ? !invocations.get(each.id)?.end : mayBegin && isWaiting(command, each.id),
      )
      .map((each) => ({
        requestedAtMs: command.requestedAtMs,
        delivery: deliveryOf(scope, command, { ...each, steps: invocations.get(each.id)?.steps ?? [] }),
      }));
  }
}

function deliveryOf(
  scope: Scope,
  command: CommandRecord,
  of: { id: string; machineKey: string; steps: readonly StepResult[] },
): Delivery {
  const { name, version, steps, parameters } = command.document;
  return {
    scope,
    command: command.id,
    instance: of.id,
    machineKey: of.machineKey,
    document: { name, version, steps, parameters },
    executionSeconds: command.executionSeconds,
    expiresAtMs: expiresAtMs(command),
    begunAtMs: hasBegun(command, of.id) ? command.begun[of.id] : undefined,
    steps: of.steps,
  };
}

function detailsOf(ending: Ending): EndDetails {
  if (ending.status === 'TimedOut') return 'ExecutionTimedOut';
  return ending.status === 'Failed' ? (ending.details ?? 'Failed') : ending.status;
}
