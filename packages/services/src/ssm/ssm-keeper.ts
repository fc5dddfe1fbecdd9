/**
 * Has associations run, and looks after commands that nobody looks after: ends what nobody picked up, or what has said nothing for too long, and
 * removes what is old. Whoever runs the gateway calls `step` again and again. Several may do so at once, and a crash at any point leaves nothing that the
 * next step does not go on with.
 */
import type { Clock } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { trying } from '../trying.ts';
import { AssociationKeeper } from './association-keeper.ts';
import { closeWhatIsOver } from './command-closing.ts';
import type { RestoreTest } from './restore-tests.ts';
import type { SsmContext } from './ssm-context.ts';
import { ssmServicesOf } from './ssm-services.ts';
import {
  type CommandRecord,
  type InvocationRecord,
  type OpenCommand,
  recordKeys,
  recordPrefixes,
} from './ssm-records.ts';

/** As AWS keeps them. */
const KEPT_MS = 30 * 24 * 3_600_000;
/** All commands are looked at more seldom than those that are open. */
const SWEEP_MS = 60_000;

type Attempt = (one: () => Promise<unknown>) => Promise<void>;

export class SsmKeeper {
  readonly #store: RecordStore;
  readonly #clock: Clock;
  readonly #associations: AssociationKeeper;
  #sweptAtMs: number | undefined;

  constructor(context: SsmContext) {
    const services = ssmServicesOf(context);
    this.#store = services.store;
    this.#clock = services.clock;
    this.#associations = new AssociationKeeper(services);
  }

  /** As they were at the last step. */
  get restoreTests(): readonly RestoreTest[] {
    return this.#associations.restoreTests;
  }

  /** @throws the first coded error that came up, after all was looked at */
  async step(): Promise<void> {
    await trying({ forgive: () => false }, async (attempt) => {
      // Before old commands are removed: a run whose command is gone would send it again.
      await this.#associations.step(attempt);
      const nowMs = this.#clock.nowMs();
      if (this.#sweptAtMs === undefined || nowMs - this.#sweptAtMs >= SWEEP_MS) {
        await this.#sweep(attempt);
        this.#sweptAtMs = nowMs;
      }
      const of = { store: this.#store, clock: this.#clock };
      for (const open of await this.#store.list<OpenCommand>(recordPrefixes.open))
        await attempt(() => closeWhatIsOver(of, open));
    });
  }

  /** Finds those whose name among the open ones a crash has left out, and those that are too old. */
  async #sweep(attempt: Attempt): Promise<void> {
    for (const scope of await this.#store.scopes()) {
      const commands = await this.#store.list<CommandRecord>(recordPrefixes.commands(scope));
      for (const command of commands) await attempt(() => this.#lookAt(scope, command));
      await this.#dropLeftovers(scope, attempt);
    }
  }

  async #lookAt(scope: Scope, { id, requestedAtMs, finishedAtMs }: CommandRecord): Promise<void> {
    if (finishedAtMs === undefined)
      await this.#store.change<OpenCommand>(recordKeys.open(id), (found) => found ?? { ...scope, id });
    else if (this.#clock.wallMs() - requestedAtMs >= KEPT_MS)
      await this.#store.change(recordKeys.command(scope, id), () => undefined);
  }

  /** Invocations whose command is gone. */
  async #dropLeftovers(scope: Scope, attempt: Attempt): Promise<void> {
    const invocations = await this.#store.list<InvocationRecord>(recordPrefixes.invocations(scope));
    // Read after them: the record of a command is there before any of its invocations.
    const commands = await this.#store.list<CommandRecord>(recordPrefixes.commands(scope));
    const there = new Set(commands.map(({ id }) => id));
    for (const { command, instance } of invocations)
      if (!there.has(command))
        await attempt(() =>
          this.#store.change(recordKeys.invocation(scope, command, instance), () => undefined),
        );
  }
}
