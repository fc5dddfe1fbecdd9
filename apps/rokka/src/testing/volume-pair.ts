/** Two volumes whose files belong together, ways to make snapshots of both, and a look at what these show: at copies, attached beside them. */
import * as ec2 from '@aws-sdk/client-ec2';
import { must, systemClock, systemRandom } from '@rokka/kernel';
import type { Ec2UnderTest } from './ec2-under-test.ts';

const DEVICES = ['sdf', 'sdg'] as const;
const COPIES = ['sdh', 'sdi'] as const;

export type Pair<T> = readonly [T, T];
export type PairSnapshot = Pick<ec2.Snapshot, 'VolumeId' | 'SnapshotId' | 'Tags'>;

export class VolumePair {
  /** In which their files are. */
  readonly directories: Pair<string>;
  readonly #own: Ec2UnderTest;
  readonly #volumes: Pair<string>;

  private constructor(of: { own: Ec2UnderTest; volumes: Pair<string>; directories: Pair<string> }) {
    this.#own = of.own;
    this.#volumes = of.volumes;
    this.directories = of.directories;
  }

  static async attach(own: Ec2UnderTest, { sizeGiB }: { sizeGiB: number }): Promise<VolumePair> {
    const volumes = await both(() => own.volume({ Size: sizeGiB }));
    const directories = await both((which) => own.attach(volumes[which], DEVICES[which]));
    return new VolumePair({ own, volumes, directories });
  }

  /** Those that a command has made. */
  async described(description: string): Promise<readonly PairSnapshot[]> {
    const Filters = [{ Name: 'description', Values: [description] }];
    return (await this.#own.client.send(new ec2.DescribeSnapshotsCommand({ Filters }))).Snapshots ?? [];
  }

  /** In one call: of one moment, while nobody is held. It may be one that comes after the answer, and is past when they are completed. */
  async together(): Promise<readonly PairSnapshot[]> {
    const InstanceSpecification = { InstanceId: await this.#own.instance(), ExcludeBootVolume: true };
    const { Snapshots = [] } = await this.#own.client.send(
      new ec2.CreateSnapshotsCommand({ InstanceSpecification }),
    );
    return this.#completed(Snapshots);
  }

  /** One volume after the other, whichever comes first. */
  async apart({ pauseMsMax }: { pauseMsMax: number }): Promise<readonly PairSnapshot[]> {
    const [one, other] = this.#volumes;
    const first = await this.#snapshot(systemRandom.below(2) === 0 ? one : other);
    await systemClock.sleep(systemRandom.below(pauseMsMax));
    return this.#completed([first, await this.#snapshot(first.VolumeId === one ? other : one)]);
  }

  /** Neither the copies nor the snapshots are there afterwards. */
  async look<T>(
    snapshots: readonly PairSnapshot[],
    at: (directories: Pair<string>) => Promise<T> | T,
  ): Promise<T> {
    const { client } = this.#own;
    await using after = new AsyncDisposableStack();
    for (const { SnapshotId } of snapshots)
      after.defer(async () => void (await client.send(new ec2.DeleteSnapshotCommand({ SnapshotId }))));
    await this.#completed(snapshots);
    const copies = await both(async (which) => {
      const shown = snapshots.find(({ VolumeId }) => VolumeId === this.#volumes[which]);
      const volume = await this.#own.volume({ SnapshotId: must(must(shown).SnapshotId) });
      return { volume, directory: await this.#own.attach(volume, COPIES[which]) };
    });
    after.defer(async () => void (await both((which) => this.#remove(copies[which].volume))));
    return await at([copies[0].directory, copies[1].directory]);
  }

  async #completed(snapshots: readonly PairSnapshot[]): Promise<readonly PairSnapshot[]> {
    await this.#own.completed(snapshots.map(({ SnapshotId }) => must(SnapshotId)));
    return snapshots;
  }

  #snapshot(VolumeId: string): Promise<PairSnapshot> {
    return this.#own.client.send(new ec2.CreateSnapshotCommand({ VolumeId }));
  }

  async #remove(VolumeId: string): Promise<void> {
    await this.#own.detach(VolumeId);
    await this.#own.client.send(new ec2.DeleteVolumeCommand({ VolumeId }));
  }
}

/** Of both at the same time. */
async function both<T>(of: (which: 0 | 1) => Promise<T>): Promise<Pair<T>> {
  return Promise.all([of(0), of(1)]);
}
