/**
 * Carries out what the records of RDS say, as far as it is a matter of records: makes and changes those of databases and kept
 * points, and removes what is left over. It starts nothing; the controller of databases does.
 *
 * Operations write their one deciding record and have it carried out here at once. Whoever runs the gateway calls `step` every
 * second: it goes on with what a crash has cut short, and with what had to wait for the controller. Several may do so at once.
 */
import { servicesErrors } from '../errors.ts';
import { trying } from '../trying.ts';
import { type ClusterFacts, readCluster, readScope, type SnapshotFacts } from './cluster-facts.ts';
import { carryOutSnapshot } from './cluster-snapshots.ts';
import { isHopeless } from '../database-making.ts';
import { carryOutCluster, removeInstance } from './cluster-steps.ts';
import { decideCluster } from './keeping.ts';
import type { RdsContext } from './rds-context.ts';
import type { Scope } from '../scope.ts';
import { isRdsDatabase, OWNER } from './rds-records.ts';
import { RecordStore } from '../record-store.ts';

/** More than any way is long. */
const STEPS_MAX = 32;

export class RdsKeeper {
  readonly #of: RdsContext & { readonly store: RecordStore };

  constructor(context: RdsContext) {
    this.#of = { ...context, store: new RecordStore({ ...context, service: 'rds' }) };
  }

  /**
   * Looks at everything once. What cannot be done for one thing holds up no other.
   * @throws the first coded error that came up, after all was looked at
   */
  async step(): Promise<void> {
    // What it was about is gone where it is hopeless, and the events say why.
    await trying({ forgive: isHopeless }, async (attempt) => {
      // Read first: one that is in this list, and in no record below, is left over.
      const [databases, kept] = await this.#whatIsThere();
      for (const scope of await this.#of.store.scopes()) {
        const { clusters, snapshots, strays } = await readScope(this.#of, scope);
        for (const facts of clusters) {
          databases.delete(facts.cluster.database);
          if (decideCluster(facts).step !== 'none')
            await attempt(() => this.settleCluster(scope, facts.cluster.id));
        }
        for (const facts of snapshots) {
          kept.delete(facts.record.kept);
          await attempt(() => this.settleSnapshot(scope, facts));
        }
        for (const instance of strays) await attempt(() => removeInstance({ ...this.#of, scope }, instance));
      }
      for (const name of databases) await attempt(() => this.#of.databases.setDesired(name, 'deleted'));
      for (const name of kept) await attempt(() => this.#of.snapshots.remove(name));
    });
  }

  /**
   * Does for a cluster what can be done now.
   * @returns what it is afterwards; undefined where it is gone
   * @throws what `Databases` throws
   */
  async settleCluster(scope: Scope, id: string): Promise<ClusterFacts | undefined> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const facts = await readCluster(this.#of, scope, id);
      if (!facts) return undefined;
      const step = decideCluster(facts);
      if (step.step === 'none') return facts;
      await carryOutCluster({ ...this.#of, scope }, facts, step);
    }
    throw servicesErrors.SERVICE_STEPS_ENDLESS([`DB cluster ${id}`, STEPS_MAX]);
  }

  /** Does for a snapshot what can be done now. */
  async settleSnapshot(scope: Scope, facts: SnapshotFacts): Promise<void> {
    await carryOutSnapshot({ ...this.#of, scope }, facts);
  }

  async #whatIsThere(): Promise<[databases: Set<string>, kept: Set<string>]> {
    const databases = (await this.#of.databases.list())
      .filter(({ name, desired }) => isRdsDatabase(name) && desired !== 'deleted')
      .map(({ name }) => name);
    const kept = (await this.#of.snapshots.list())
      .filter(({ owner }) => owner === OWNER)
      .map(({ name }) => name);
    return [new Set(databases), new Set(kept)];
  }
}
