/**
 * Carries out what the records of EC2 say, as far as it is a matter of records: makes and changes those of databases, kept points
 * and claims, and removes what is left over. It starts nothing; the controller of databases does.
 *
 * Operations write their one deciding record and have it carried out here at once. Whoever runs the gateway calls `step` every
 * second: it goes on with what a crash has cut short, and with what had to wait for the controller. Several may do so at once.
 */
import { servicesErrors } from '../errors.ts';
import { isHopeless } from '../database-making.ts';
import { trying } from '../trying.ts';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type Claim, CLAIMS, holdersOf, releaseClaim } from './claims.ts';
import { BootMirror, isMirrorId } from './boot-mirror.ts';
import type { Ec2Context } from './ec2-context.ts';
import { isVolumeId } from './ec2-ids.ts';
import { OWNER, type VolumeRecord } from './ec2-records.ts';
import { type ImageFacts, readImage, readImages } from './image-facts.ts';
import { carryOutImage } from './image-steps.ts';
import { decideImage, decideSnapshot, decideVolume } from './keeping.ts';
import { snapshotState } from './status.ts';
import { readSnapshots, type SnapshotFacts } from './snapshot-facts.ts';
import { carryOutSnapshot } from './snapshot-steps.ts';
import { readScope, readVolume, type ScopeFacts, type VolumeFacts } from './volume-facts.ts';
import { carryOutVolume } from './volume-steps.ts';

/** More than any way is long. */
const STEPS_MAX = 32;

/** What no record was found for yet. */
interface Loose {
  readonly databases: Set<string>;
  readonly kept: Set<string>;
  /** By holder. */
  readonly claims: Map<string, Claim>;
  readonly mirrors: readonly string[];
}

export class Ec2Keeper {
  readonly #of: Ec2Context & { readonly store: RecordStore };

  constructor(context: Ec2Context) {
    this.#of = { ...context, store: new RecordStore({ ...context, service: 'ec2' }) };
  }

  /**
   * Looks at everything once. What cannot be done for one thing holds up no other.
   * @throws the first coded error that came up, after all was looked at
   */
  async step(): Promise<void> {
    const { databases, snapshots, store } = this.#of;
    // What it was about is gone where it is hopeless.
    await trying({ forgive: isHopeless }, async (attempt) => {
      // Read first: what is in these lists, and in no record below, is left over.
      const loose = await this.#whatIsThere();
      let awaitsMirror = false;
      for (const scope of await store.scopes()) {
        const { snapshots: found } = await this.#lookAt(scope, loose, attempt);
        awaitsMirror ||= found.some(
          (facts) => facts.record.ofBoot !== undefined && snapshotState(facts) === 'pending',
        );
      }
      await attempt(() => new BootMirror(this.#of).keep(loose.mirrors, awaitsMirror));
      for (const name of loose.databases) await attempt(() => databases.setDesired(name, 'deleted'));
      for (const name of loose.kept) await attempt(() => snapshots.remove(name));
      for (const claim of loose.claims.values()) await attempt(() => releaseClaim(store, claim));
    });
  }

  /**
   * Does for a volume what can be done now.
   * @returns what it is afterwards; undefined where it is gone
   * @throws what `Databases` throws
   */
  async settleVolume(scope: Scope, id: string): Promise<VolumeFacts | undefined> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const facts = await readVolume(this.#of, scope, id);
      if (!facts) return undefined;
      const step = decideVolume(facts);
      if (step.step === 'none') return facts;
      await carryOutVolume({ ...this.#of, scope }, facts, step);
    }
    throw servicesErrors.SERVICE_STEPS_ENDLESS([`volume ${id}`, STEPS_MAX]);
  }

  /** Does for an image what can be done now. @returns what it is afterwards; undefined where it is gone, or another one has its name */
  async settleImage(scope: Scope, id: string): Promise<ImageFacts | undefined> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const facts = await readImage(this.#of, scope, id);
      if (!facts) return undefined;
      const step = decideImage(facts);
      if (step === 'none') return facts;
      await carryOutImage({ ...this.#of, scope }, facts, step);
    }
    throw servicesErrors.SERVICE_STEPS_ENDLESS([`image ${id}`, STEPS_MAX]);
  }

  /** Does for each of these snapshots what can be done now, once. @returns what they are afterwards */
  async settleSnapshots(scope: Scope, ids: readonly string[]): Promise<SnapshotFacts[]> {
    const these = async () =>
      (await readSnapshots(this.#of, scope)).filter(({ record }) => ids.includes(record.id));
    for (const facts of await these()) await this.#settleSnapshot(scope, facts);
    return these();
  }

  async #settleSnapshot(scope: Scope, facts: SnapshotFacts): Promise<void> {
    await carryOutSnapshot({ ...this.#of, scope }, facts, decideSnapshot(facts));
  }

  async #lookAt(
    scope: Scope,
    loose: Loose,
    attempt: (work: () => Promise<unknown>) => Promise<void>,
  ): Promise<ScopeFacts> {
    const found = await readScope(this.#of, scope);
    const { volumes, snapshots } = found;
    for (const facts of volumes) {
      this.#find(facts.volume, loose);
      if (decideVolume(facts).step !== 'none') await attempt(() => this.settleVolume(scope, facts.volume.id));
    }
    // Before their snapshots, which nobody makes for one that does not count.
    for (const { record } of await readImages(this.#of, scope)) {
      loose.claims.delete(record.id);
      if (record.unconfirmed) await attempt(() => this.settleImage(scope, record.id));
    }
    for (const facts of snapshots) {
      loose.kept.delete(facts.record.kept);
      await attempt(() => this.#settleSnapshot(scope, facts));
    }
    return found;
  }

  #find(volume: VolumeRecord, { databases, claims }: Loose): void {
    databases.delete(volume.id);
    for (const holder of holdersOf(volume)) claims.delete(holder);
  }

  async #whatIsThere(): Promise<Loose> {
    const { databases, snapshots, store } = this.#of;
    const files = (await databases.list()).filter(
      ({ engine, desired }) => engine === 'files' && desired !== 'deleted',
    );
    const names = files.map(({ name }) => name);
    const kept = (await snapshots.list()).filter(({ owner }) => owner === OWNER);
    const claims = await store.list<Claim>(CLAIMS);
    return {
      databases: new Set(names.filter(isVolumeId)),
      kept: new Set(kept.map(({ name }) => name)),
      claims: new Map(claims.map((claim) => [claim.holder, claim])),
      mirrors: names.filter(isMirrorId),
    };
  }
}
