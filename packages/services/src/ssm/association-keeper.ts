/**
 * Has associations run: takes the times that are due, sends the command of each run, and ends the run when its command has ended. Several may do so at
 * once, and a crash at any point leaves nothing that the next step does not go on with.
 */
import { refusalOf } from '../refusal.ts';
import type { Scope } from '../scope.ts';
import {
  associationKey,
  type AssociationRecord,
  type AssociationRun,
  associationsPrefix,
  type RunState,
} from './association-records.ts';
import { currentOf, dueTimeOf, goingOf, withDueRun, withEnd } from './association-runs.ts';
import { stateOfCommand } from './association-status.ts';
import { isFinished, readCommand } from './command-facts.ts';
import { type RestoreTest, restoreTestOf } from './restore-tests.ts';
import type { SsmServices } from './ssm-context.ts';
import { newCommandId } from './ssm-ids.ts';

type Attempt = (one: () => Promise<unknown>) => Promise<void>;

export class AssociationKeeper {
  readonly #services: SsmServices;
  #restoreTests: readonly RestoreTest[] = [];

  constructor(services: SsmServices) {
    this.#services = services;
  }

  /** As they were at the last step. */
  get restoreTests(): readonly RestoreTest[] {
    return this.#restoreTests;
  }

  async step(attempt: Attempt): Promise<void> {
    const { store, clock } = this.#services;
    const tests: (RestoreTest | undefined)[] = [];
    for (const scope of await store.scopes())
      for (const association of await store.list<AssociationRecord>(associationsPrefix(scope))) {
        tests.push(restoreTestOf(association, clock.wallMs()));
        await attempt(() => this.#lookAt(scope, association));
      }
    this.#restoreTests = tests.filter((test) => test !== undefined);
  }

  async #lookAt(scope: Scope, known: AssociationRecord): Promise<void> {
    const association = await this.#takeDueTime(scope, known);
    const run = association && goingOf(association);
    if (!run) return;
    const facts = await readCommand(this.#services, scope, run.id);
    if (!facts) return this.#send(scope, association, run);
    if (!isFinished(facts)) return;
    await this.#end(scope, { association, run, end: stateOfCommand(facts) });
  }

  /** @returns the association as it is then, whoever has taken what; undefined where it is gone */
  async #takeDueTime(scope: Scope, known: AssociationRecord): Promise<AssociationRecord | undefined> {
    const { store, clock, random } = this.#services;
    const takenAtMs = clock.wallMs();
    const dueMs = dueTimeOf(known, takenAtMs);
    if (dueMs === undefined) return known;
    const id = newCommandId(random);
    const { value } = await store.change<AssociationRecord>(associationKey(scope, known.id), (found) =>
      // It is another one now: what is due of it, the next look says.
      found && currentOf(found).version === currentOf(known).version
        ? withDueRun(found, { id, takenAtMs, dueMs })
        : found,
    );
    return value;
  }

  /** What is refused has failed; it is not tried again before the next time. */
  async #send(scope: Scope, association: AssociationRecord, run: AssociationRun): Promise<void> {
    // Its module has the SDK's behind it, which is large.
    const { sendRun } = await import('./association-sending.ts');
    try {
      await sendRun(this.#services, scope, { association, run });
    } catch (error) {
      const why = refusalOf(error);
      if (why === undefined) throw error;
      // Another one has sent it, who was not refused: what becomes of that counts.
      if (await readCommand(this.#services, scope, run.id)) return;
      const end = { status: 'Failed', details: (error as Error).name, counts: {}, why } as const;
      await this.#end(scope, { association, run, end });
    }
  }

  async #end(
    scope: Scope,
    of: { association: AssociationRecord; run: AssociationRun; end: RunState },
  ): Promise<void> {
    const { store, clock } = this.#services;
    const end = { ...of.end, atMs: clock.wallMs() };
    await store.change<AssociationRecord>(associationKey(scope, of.association.id), (found) =>
      found ? withEnd(found, of.run.id, end) : undefined,
    );
  }
}
