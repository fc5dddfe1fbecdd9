/**
 * Carries out changes of a group's membership while it serves (quorum/membership.ts decides what is allowed): first the
 * registry by compare-and-set, then everybody by a fence at the same volume epoch. No commit waits for any of it: the fence
 * leaves on each connection before the first ship that carries the new epoch, and the new write rule counts what the
 * members hold already.
 *
 * One step at a time in a group, and the next only when the last is known to a write quorum: so whoever reads the
 * membership from the nodes meets the newest, and two steps never mix.
 */
import { isCoded, must, type Clock, type CodedError, type Lsn, type NodeId } from '@rokka/kernel';
import {
  beginReplacement,
  finishReplacement,
  forceReplacement,
  giveUpReplacement,
  revertReplacement,
  type Membership,
  type PlacedMember,
  type Standing,
} from '@rokka/quorum';
import { volumeErrors } from './errors.ts';
import type { Group } from './group.ts';
import { saysTakenOver } from './refusals.ts';
import type { VolumeState } from './volume-state.ts';

const LOOK_AGAIN_MS = 5;
const INSTALL_MS = 30_000;

export interface Replacement {
  begin(of: { leaves: NodeId; joins: PlacedMember }): Promise<void>;
  finish(joins: NodeId): Promise<void>;
  revert(joins: NodeId): Promise<void>;
}

export interface MembershipChangesOptions {
  clock: Clock;
  state: VolumeState;
  groups: readonly Group[];
  standingOf(group: Group): Standing;
  /** The group has entered its next membership: count by it, connect and fence its members. */
  onEntered(group: Group): void;
  /** The registry says that another writer has the volume; nobody else may ever say so. Answers what everybody gets now. */
  onTakenOver(error: CodedError): CodedError;
  /** Throws where the volume has ended. */
  demandAlive(): void;
}

export class MembershipChanges {
  readonly #options: MembershipChangesOptions;
  readonly #busy = new Set<Group>();

  constructor(options: MembershipChangesOptions) {
    this.#options = options;
  }

  of(group: Group): Replacement {
    return {
      begin: (of) => this.begin(group, of),
      finish: (joins) => this.finish(group, joins),
      revert: (joins) => this.revert(group, joins),
    };
  }

  isBusy(group: Group): boolean {
    return this.#busy.has(group);
  }

  /**
   * `joins` is to take the place of `leaves`. Resolves when a write quorum knows; the newcomer hydrates from then on.
   * @throws QUORUM_NOT_A_MEMBER and others of `beginReplacement`, VOLUME_CHANGE_BUSY, VOLUME_CHANGE_LATE, VOLUME_INTERRUPTED
   */
  begin(group: Group, of: { leaves: NodeId; joins: PlacedMember }): Promise<void> {
    return this.#step(group, { whenInstalled: true }, () =>
      beginReplacement(group.roster.membership, { ...of, lastLsn: this.#standing(group).lastLsn }),
    );
  }

  /** The newcomer stays. @throws QUORUM_NOT_SETTLED and others of `finishReplacement`, and as `begin` */
  finish(group: Group, joins: NodeId): Promise<void> {
    return this.#step(group, { whenInstalled: true }, () =>
      finishReplacement(group.roster.membership, joins, this.#standing(group)),
    );
  }

  /** The old member stays. @throws QUORUM_NOT_SETTLED, QUORUM_FORCED and others of `revertReplacement`, and as `begin` */
  revert(group: Group, joins: NodeId): Promise<void> {
    return this.#step(group, { whenInstalled: true }, () =>
      revertReplacement(group.roster.membership, joins, this.#standing(group)),
    );
  }

  /**
   * The same without a write quorum (AZ+1): the members that obey this writer are a read quorum, so nobody before it can
   * complete a write, and it knows all that was.
   * @throws QUORUM_NOT_FENCED and others of `forceReplacement`, and as `begin`
   */
  force(group: Group, of: { leaves: NodeId; joins: PlacedMember }): Promise<void> {
    // There may be nobody left who could have taken in the step before.
    return this.#step(group, { whenInstalled: false }, () => {
      const { lastLsn, scls } = this.#standing(group);
      return forceReplacement(group.roster.membership, { ...of, lastLsn, fenced: new Set(scls.keys()) });
    });
  }

  /**
   * The old member stays without a write quorum, because the newcomer is gone.
   * @throws QUORUM_NOT_FENCED and others of `giveUpReplacement`, and as `begin`
   */
  giveUp(group: Group, joins: NodeId): Promise<void> {
    return this.#step(group, { whenInstalled: false }, () => {
      const fenced = new Set(this.#standing(group).scls.keys());
      return giveUpReplacement(group.roster.membership, joins, { fenced });
    });
  }

  /** Changes that were given up because the registry was away, and that it has made after all, are entered like any other. */
  enterLate(): void {
    const { state, groups, onEntered } = this.#options;
    for (const group of groups) {
      const { membership } = must(state.record.groups[group.pg]);
      if (membership.epoch === group.roster.epoch) continue;
      group.enter(membership);
      onEntered(group);
    }
  }

  /** The same while the volume recovers. */
  async giveUpInRecovery(group: Group, joins: NodeId, fenced: ReadonlySet<string>): Promise<void> {
    await this.#enterInRecovery(group, giveUpReplacement(group.roster.membership, joins, { fenced }));
  }

  /** A member is forced out while the volume recovers: `fenced` have answered its fence. Nobody is told here; its next fences tell. */
  async forceInRecovery(
    group: Group,
    of: { leaves: NodeId; joins: PlacedMember; lastLsn: Lsn; fenced: ReadonlySet<string> },
  ): Promise<void> {
    await this.#enterInRecovery(group, forceReplacement(group.roster.membership, of));
  }

  async #enterInRecovery(group: Group, next: Membership): Promise<void> {
    await this.#options.state.changeMembership(group.pg, next);
    group.enter(next);
  }

  #standing(group: Group): Standing {
    return this.#options.standingOf(group);
  }

  async #step(group: Group, options: { whenInstalled: boolean }, decide: () => Membership): Promise<void> {
    const { state, onEntered, onTakenOver, demandAlive } = this.#options;
    demandAlive();
    const settled = group.isInstalled || !options.whenInstalled;
    if (this.#busy.has(group) || !settled) throw volumeErrors.VOLUME_CHANGE_BUSY([group.pg]);
    this.#busy.add(group);
    try {
      const next = decide();
      await state.changeMembership(group.pg, next);
      demandAlive();
      group.enter(next);
      onEntered(group);
      await this.#whenInstalled(group);
    } catch (error) {
      throw isCoded(error) && saysTakenOver(error) ? onTakenOver(error) : error;
    } finally {
      this.#busy.delete(group);
    }
  }

  async #whenInstalled(group: Group): Promise<void> {
    const { clock, demandAlive } = this.#options;
    for (const startedMs = clock.nowMs(); !group.isInstalled;) {
      if (clock.nowMs() - startedMs > INSTALL_MS)
        throw volumeErrors.VOLUME_CHANGE_LATE([group.pg, group.roster.epoch, INSTALL_MS]);
      await clock.sleep(LOOK_AGAIN_MS);
      demandAlive();
    }
  }
}
