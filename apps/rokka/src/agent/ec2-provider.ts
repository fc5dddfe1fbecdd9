/**
 * Volumes of an instance as EC2 has them, copied by CreateSnapshots with the instance's own keys: whoever may not do that makes no
 * snapshot here either.
 *
 * The copy is of one moment anyway: the heads of all volumes hold for it, and let go by themselves (databases/snapshot-set.ts). So nothing is to be
 * held here. Once the moment is past, writers may go on, though copying may last; should it fail, another moment is taken, at which nobody
 * holds any more. `confirm` waits for the copy and says whether it shows the first one.
 */
import type { EC2Client, SnapshotInfo } from '@aws-sdk/client-ec2';
import type { SetCut } from '@rokka/databases';
import { type Clock, must } from '@rokka/kernel';
import type { SnapshotSetFacts } from '@rokka/services';
import type { Provider, SnapshotSetResult } from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';
import type { Tag } from './tag-list.ts';

const LOOK_MS = 20;
const SLOW_LOOK_MS = 250;

export interface Ec2ProviderOptions {
  readonly client: EC2Client;
  readonly instance: string;
  readonly excludesBoot: boolean;
  readonly description: string;
  readonly tags: readonly Tag[];
  /** What the registry has of a snapshot that was just made. */
  lookUp(snapshot: string): Promise<SnapshotSetFacts | undefined>;
  readonly clock: Clock;
  /** Every writer holds, and the volumes are copied when it resolves. */
  onFrozen?(signal: AbortSignal): Promise<void>;
}

export class Ec2Provider implements Provider {
  readonly holds = false;
  readonly #options: Ec2ProviderOptions;
  #made: readonly SnapshotInfo[] = [];
  #seen: SetCut | undefined;

  constructor(options: Ec2ProviderOptions) {
    this.#options = options;
  }

  async hold(signal: AbortSignal): Promise<void> {
    await this.#options.onFrozen?.(signal);
  }

  async release(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}

  /** Ids of what was asked for, whatever became of it. */
  get snapshots(): readonly string[] {
    return this.#made.map(({ SnapshotId }) => must(SnapshotId));
  }

  /** @throws what EC2 answers; the signal's reason */
  async snapshot(signal: AbortSignal): Promise<SnapshotSetResult> {
    const { client, instance, excludesBoot, description, tags, lookUp, clock } = this.#options;
    const { CreateSnapshotsCommand } = await import('@aws-sdk/client-ec2');
    const { Snapshots = [] } = await client.send(
      new CreateSnapshotsCommand({
        InstanceSpecification: { InstanceId: instance, ExcludeBootVolume: excludesBoot },
        Description: description,
        ...(tags.length > 0 && { TagSpecifications: [{ ResourceType: 'snapshot', Tags: [...tags] }] }),
      }),
      { abortSignal: signal },
    );
    this.#made = Snapshots;
    const first = must(this.snapshots[0]);
    let facts = await lookUp(first);
    for (; facts?.state === 'pending' && !facts.cut; facts = await lookUp(first))
      await clock.sleep(LOOK_MS, signal);
    if (!facts?.cut)
      throw rokkaErrors.ROKKA_SET_UNSOUND([
        facts?.set ?? first,
        'it failed, or was deleted, before its moment',
      ]);
    const { set, cut } = facts;
    this.#seen = cut;
    const snapshots = Snapshots.map(({ VolumeId, SnapshotId }) => ({
      volume: must(VolumeId),
      snapshot: must(SnapshotId),
    }));
    return { id: set, snapshots, heldMs: cut.heldMs };
  }

  /**
   * Resolves when the set is copied, and shows the moment at which writers held.
   * @throws ROKKA_SET_UNSOUND; errors of the registry; the signal's reason
   */
  async confirm(set: string, signal: AbortSignal): Promise<void> {
    const { lookUp, clock } = this.#options;
    const first = must(this.snapshots[0]);
    let facts = await lookUp(first);
    for (; facts?.state === 'pending'; facts = await lookUp(first)) await clock.sleep(SLOW_LOOK_MS, signal);
    if (facts?.state !== 'completed')
      throw rokkaErrors.ROKKA_SET_UNSOUND([set, facts ? 'a snapshot failed' : 'it was deleted']);
    if (facts.cut?.atMs !== this.#seen?.atMs)
      throw rokkaErrors.ROKKA_SET_UNSOUND([set, 'copying began anew at another moment, when nobody held']);
  }
}
