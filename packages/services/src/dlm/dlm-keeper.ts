/**
 * Carries out what policies say: takes the times that are due, and goes on with what was begun. Whoever runs the gateway calls `step` again and
 * again. Several may do so at once, and a crash at any point leaves nothing that the next step does not go on with.
 */
import { servicesErrors } from '../errors.ts';
import { readSnapshots } from '../ec2/snapshot-facts.ts';
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
    for (const schedule of policy.details.schedules)
      for (const [target, { end }] of Object.entries(policy.courses[schedule.name]?.runs ?? {}))
        if (!end)
          await attempt(() => this.#goOn({ services: this.#services, scope, policy, schedule, target }));
  }

  async #goOn(lane: RunContext): Promise<void> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const run = await this.#runOf(lane);
      if (!run) return;
      const step = decide(await this.#factsOf(lane, run));
      if (step.step === 'none') return;
      await carryOut(lane, run, step);
    }
    throw servicesErrors.SERVICE_STEPS_ENDLESS([`${lane.policy.id} on ${lane.target}`, STEPS_MAX]);
  }

  async #runOf({ scope, policy, schedule, target }: RunContext): Promise<Run | undefined> {
    const found = await this.#services.store.get<PolicyRecord>(policyKey(scope, policy.id));
    return found?.isEnabled ? found.courses[schedule.name]?.runs[target] : undefined;
  }

  /** The command first: what it has made is there before it ends. */
  async #factsOf({ scope, schedule }: RunContext, run: Run): Promise<RunFacts> {
    const { ec2, ssm } = this.#services;
    const { script } = schedule;
    const isScript = run.phase === 'script' && script !== undefined;
    const command: CommandOutcome = isScript
      ? await commandOutcome(ssm.store, scope, run.commandId)
      : { state: 'none' };
    const isOver = !isScript || command.state === 'succeeded' || command.state === 'failed';
    const made = isOver ? madeBy(run, await readSnapshots(ec2, scope)) : [];
    return { run, script, command, made: stateOf(made), isTagged: made.every(isTagged) };
  }
}
