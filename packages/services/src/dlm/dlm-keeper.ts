/**
 * Carries out what policies say: takes the times that are due, and goes on with what was begun. Whoever runs the gateway calls `step` again and
 * again. Several may do so at once, and a crash at any point leaves nothing that the next step does not go on with.
 */
import { servicesErrors } from '../errors.ts';
import { readScope } from '../ec2/volume-facts.ts';
import type { Scope } from '../scope.ts';
import { type CommandOutcome, commandOutcome } from '../ssm/command-outcome.ts';
import { trying } from '../trying.ts';
import { decide, type RunFacts } from './deciding.ts';
import { type DlmContext, type DlmServices, dlmServicesOf } from './dlm-context.ts';
import { policiesPrefix, policyKey, type PolicyRecord, type Run } from './dlm-records.ts';
import { isTagged, madeBy, stateOf } from './run-snapshots.ts';
import type { RunContext } from './run-context.ts';
import { carryOut } from './run-steps.ts';
import { takeDueTimes } from './taking.ts';

/** More than any way is long. */
const STEPS_MAX = 32;

/** A run: of a policy, by the name of its schedule, on a target. */
interface Going {
  readonly id: string;
  readonly name: string;
  readonly target: string;
}

type Attempt = (one: () => Promise<unknown>) => Promise<void>;

export class DlmKeeper {
  readonly #services: DlmServices;

  constructor(context: DlmContext) {
    this.#services = dlmServicesOf(context);
  }

  /** @throws the first coded error that came up, after all was looked at */
  async step(): Promise<void> {
    const { store } = this.#services;
    await trying({ forgive: () => false }, async (attempt) => {
      for (const scope of await store.scopes())
        for (const policy of await store.list<PolicyRecord>(policiesPrefix(scope)))
          if (policy.isEnabled) await attempt(() => this.#lookAt(scope, policy, attempt));
    });
  }

  async #lookAt(scope: Scope, known: PolicyRecord, attempt: Attempt): Promise<void> {
    const policy = await takeDueTimes(this.#services, scope, known);
    if (!policy?.isEnabled) return;
    for (const { name } of policy.details.schedules)
      for (const [target, { end }] of Object.entries(policy.courses[name]?.runs ?? {}))
        if (!end) await attempt(() => this.#goOn(scope, { id: policy.id, name, target }));
  }

  async #goOn(scope: Scope, of: Going): Promise<void> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const found = await this.#find(scope, of);
      if (!found) return;
      const step = decide(await this.#factsOf(found.context, found.run));
      if (step.step === 'none') return;
      await carryOut(found.context, found.run, step);
    }
    throw servicesErrors.SERVICE_STEPS_ENDLESS([`${of.id} on ${of.target}`, STEPS_MAX]);
  }

  /** As it is now: nothing is deleted by a rule that counts no more. Undefined where it does not go on. */
  async #find(
    scope: Scope,
    { id, name, target }: Going,
  ): Promise<{ run: Run; context: RunContext } | undefined> {
    const services = this.#services;
    const policy = await services.store.get<PolicyRecord>(policyKey(scope, id));
    const schedule = policy?.details.schedules.find((each) => each.name === name);
    const run = policy?.courses[name]?.runs[target];
    if (!policy?.isEnabled || !schedule || !run) return undefined;
    return { run, context: { services, scope, policy, schedule, target } };
  }

  /** The command first: what it has made is there before it ends. */
  async #factsOf(context: RunContext, run: Run): Promise<RunFacts> {
    const { scope, schedule } = context;
    const { ec2, ssm } = this.#services;
    const { script } = schedule;
    const isScript = run.phase === 'script' && script !== undefined;
    const command: CommandOutcome = isScript
      ? await commandOutcome(ssm.store, scope, run.commandId)
      : { state: 'none' };
    const isOver = !isScript || command.state === 'succeeded' || command.state === 'failed';
    const made = isOver ? madeBy(context, run, await readScope(ec2, scope)) : [];
    return { run, script, command, made: stateOf(made), isTagged: made.every(isTagged) };
  }
}
