/**
 * The volumes of one restore, as EC2 has them. What is made carries a tag with the command's id from its first moment on, so that it is found
 * again whoever was killed when: nothing else is remembered. One that replaces another carries that one's id as well.
 *
 * Calls that change something are not cut short with the step, whose end would leave it open what became of them; they end with the agent.
 */
import type * as Sdk from '@aws-sdk/client-ec2';
import type { EC2Client, Filter, Image, Snapshot, Tag, Volume } from '@aws-sdk/client-ec2';
import { type Clock, must } from '@rokka/kernel';
import { rokkaErrors } from '../../errors.ts';
import { type NamedSnapshots, type NewestSet, tagOf, type RestorePart } from './restore-plan.ts';

const MADE_TAG = 'RokkaRestore';
const REPLACES_TAG = 'RokkaReplaces';
const REPLACED_TAG = 'RokkaReplaced';
const DEVICE_TAG = 'Device';

const LOOK_MS = 250;
const CALL_MS_MAX = 60_000;
const STATE_MS_MAX = 120_000;
/** Rights are asked for on one that is not there yet. */
const NO_VOLUME = 'vol-00000000000000000';

type Call<T> = (sdk: typeof Sdk, options: { abortSignal: AbortSignal }) => Promise<T>;

export interface RestoreVolumesOptions {
  readonly client: EC2Client;
  readonly clock: Clock;
  /** Of the command: what is made is tagged with it. */
  readonly command: string;
  readonly instance: string;
  /** Undefined where it is not mounted now. */
  mountPointOf(volume: string): string | undefined;
}

export interface Attached {
  readonly volume: string;
  readonly device: string;
}

/** What the instance is now. */
export interface Place {
  readonly zone: string;
  /** Where its boot volume is: `/dev/xvda`. */
  readonly bootDevice: string;
  /** Without the boot volume. */
  readonly attached: readonly Attached[];
}

export interface VolumeNow {
  readonly volume: string;
  readonly state: string;
  readonly attachment?: { readonly device: string; readonly isEnding: boolean; readonly isDone: boolean };
}

export interface MadeVolume extends VolumeNow {
  /** Where it belongs, and what was there before; absent of those that only try. */
  readonly device?: string;
  readonly replaces?: string;
}

export class RestoreVolumes {
  readonly #options: RestoreVolumesOptions;

  constructor(options: RestoreVolumesOptions) {
    this.#options = options;
  }

  get command(): string {
    return this.#options.command;
  }

  async place(signal: AbortSignal): Promise<Place> {
    const { client, instance } = this.#options;
    const { Reservations } = await this.#call(
      (sdk, options) => client.send(new sdk.DescribeInstancesCommand({ InstanceIds: [instance] }), options),
      signal,
    );
    const { Placement, BlockDeviceMappings = [], RootDeviceName } = must(Reservations?.[0]?.Instances?.[0]);
    const attached = BlockDeviceMappings.filter(({ DeviceName }) => DeviceName !== RootDeviceName);
    return {
      zone: must(Placement?.AvailabilityZone),
      bootDevice: must(RootDeviceName),
      attached: attached.map(({ DeviceName, Ebs }) => ({
        volume: must(Ebs?.VolumeId),
        device: must(DeviceName),
      })),
    };
  }

  /** @throws InvalidAMIID.NotFound */
  async image(id: string, signal: AbortSignal): Promise<Image> {
    const { client } = this.#options;
    const { Images } = await this.#call(
      (sdk, options) => client.send(new sdk.DescribeImagesCommand({ ImageIds: [id] }), options),
      signal,
    );
    return must(Images?.[0]);
  }

  /** Those that are asked for; of a set, all that may be of it; of the newest, all that are of any. @throws InvalidSnapshot.NotFound */
  async snapshots(asked: NamedSnapshots | NewestSet, signal: AbortSignal): Promise<Snapshot[]> {
    const { client } = this.#options;
    const which =
      'snapshots' in asked
        ? { SnapshotIds: [...asked.snapshots] }
        : {
            Filters: [
              { Name: 'tag:AwsVssConfig', Values: ['set' in asked ? `*"set":"${asked.set}"*` : '*'] },
            ],
          };
    return this.#pages(signal, async (sdk, options, NextToken) => {
      const input = { ...which, ...(NextToken && { NextToken }) };
      const answer = await client.send(new sdk.DescribeSnapshotsCommand(input), options);
      return { items: answer.Snapshots ?? [], next: answer.NextToken };
    });
  }

  /**
   * Whether all of it may be done, before any of it is. A policy must not ask for tags of the volumes that will be made.
   * @param replaced volumes that are detached, and attached again where it fails
   * @throws ROKKA_RESTORE_REFUSED that says which right is missing
   */
  async demandRights(
    of: { parts: readonly RestorePart[]; zone: string; replaced: readonly Attached[] },
    signal: AbortSignal,
  ): Promise<void> {
    const { client, instance: InstanceId } = this.#options;
    const DryRun = true;
    const volumes = [NO_VOLUME, ...of.replaced.map(({ volume }) => volume)];
    const trials: Call<unknown>[] = [
      ...of.parts.map((part): Call<unknown> => (sdk, options) => {
        const input = { ...this.#creationOf(part, { zone: of.zone }), DryRun };
        return client.send(new sdk.CreateVolumeCommand(input), options);
      }),
      ...volumes.flatMap((VolumeId): Call<unknown>[] => [
        (sdk, options) =>
          client.send(
            new sdk.AttachVolumeCommand({ VolumeId, InstanceId, Device: '/dev/sdf', DryRun }),
            options,
          ),
        (sdk, options) => client.send(new sdk.DetachVolumeCommand({ VolumeId, DryRun }), options),
      ]),
      (sdk, options) => client.send(new sdk.DeleteVolumeCommand({ VolumeId: NO_VOLUME, DryRun }), options),
      (sdk, options) => {
        const Tags = [{ Key: REPLACED_TAG, Value: this.command }];
        return client.send(new sdk.CreateTagsCommand({ Resources: volumes, Tags, DryRun }), options);
      },
    ];
    for (const trial of trials)
      try {
        await this.#call(trial, signal);
      } catch (error) {
        const { name } = error as Error;
        if (name !== 'DryRunOperation' && name !== 'InvalidVolume.NotFound') throw error;
      }
  }

  /** @param of.replaces the volume in whose place it is to be @returns its id */
  async create(
    part: RestorePart,
    of: { zone: string; belongs?: boolean; replaces?: string | undefined },
    signal: AbortSignal,
  ): Promise<string> {
    const { client } = this.#options;
    const made = await this.#call(
      (sdk, options) => client.send(new sdk.CreateVolumeCommand(this.#creationOf(part, of)), options),
      signal,
    );
    return must(made.VolumeId);
  }

  async attach({ volume: VolumeId, device: Device }: Attached, signal: AbortSignal): Promise<void> {
    const { client, instance: InstanceId } = this.#options;
    const input = { VolumeId, InstanceId, Device };
    await this.#call((sdk, options) => client.send(new sdk.AttachVolumeCommand(input), options), signal);
  }

  async detach(VolumeId: string, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    await this.#call(
      (sdk, options) => client.send(new sdk.DetachVolumeCommand({ VolumeId }), options),
      signal,
    );
  }

  async delete(VolumeId: string, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    await this.#call(
      (sdk, options) => client.send(new sdk.DeleteVolumeCommand({ VolumeId }), options),
      signal,
    );
  }

  /** They stay, and say by which command they were replaced. */
  async tagReplaced(volumes: readonly string[], signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    if (volumes.length === 0) return;
    const input = { Resources: [...volumes], Tags: [{ Key: REPLACED_TAG, Value: this.command }] };
    await this.#call((sdk, options) => client.send(new sdk.CreateTagsCommand(input), options), signal);
  }

  /** All that the command has made and that is not going already, by whichever attempt. */
  async made(signal: AbortSignal): Promise<MadeVolume[]> {
    const found = await this.#describe([{ Name: `tag:${MADE_TAG}`, Values: [this.command] }], signal);
    return found
      .filter(({ State }) => State !== 'deleting' && State !== 'deleted')
      .map((volume) => {
        const [device, replaces] = [tagOf(volume, DEVICE_TAG), tagOf(volume, REPLACES_TAG)];
        return {
          ...nowOf(volume),
          ...(device !== undefined && { device }),
          ...(replaces !== undefined && { replaces }),
        };
      });
  }

  async find(volume: string, signal: AbortSignal): Promise<VolumeNow | undefined> {
    const [found] = await this.#describe([{ Name: 'volume-id', Values: [volume] }], signal);
    return found && nowOf(found);
  }

  /** @throws ROKKA_RESTORE_BROKEN, ROKKA_RESTORE_LATE */
  async available(volume: string, signal: AbortSignal): Promise<void> {
    await this.#until(
      `volume ${volume} is available`,
      async () => {
        const state = (await this.find(volume, signal))?.state;
        if (state === 'error') throw rokkaErrors.ROKKA_RESTORE_BROKEN([volume]);
        return state === 'available' || undefined;
      },
      signal,
    );
  }

  /** No matter whether it can be opened; gone is detached as well. @throws ROKKA_RESTORE_LATE */
  async detached(volume: string, signal: AbortSignal): Promise<void> {
    await this.#until(
      `volume ${volume} is detached`,
      async () => {
        const now = await this.find(volume, signal);
        return now === undefined || ['available', 'error', 'deleting'].includes(now.state) || undefined;
      },
      signal,
    );
  }

  /** @returns the directory in which its files are @throws ROKKA_RESTORE_LATE */
  mounted(volume: string, signal: AbortSignal): Promise<string> {
    return this.#until(
      `volume ${volume} is mounted`,
      async () => {
        const now = await this.find(volume, signal);
        return now?.attachment?.isDone ? this.#options.mountPointOf(volume) : undefined;
      },
      signal,
    );
  }

  mountPointOf(volume: string): string | undefined {
    return this.#options.mountPointOf(volume);
  }

  #creationOf(
    { snapshot, device }: RestorePart,
    of: { zone: string; belongs?: boolean; replaces?: string | undefined },
  ) {
    const Tags: Tag[] = [{ Key: MADE_TAG, Value: this.command }];
    if (of.belongs) Tags.push({ Key: DEVICE_TAG, Value: device });
    if (of.replaces !== undefined) Tags.push({ Key: REPLACES_TAG, Value: of.replaces });
    return {
      SnapshotId: snapshot,
      AvailabilityZone: of.zone,
      TagSpecifications: [{ ResourceType: 'volume' as const, Tags }],
    };
  }

  #describe(Filters: Filter[], signal: AbortSignal): Promise<Volume[]> {
    const { client } = this.#options;
    return this.#pages(signal, async (sdk, options, NextToken) => {
      const input = { Filters, ...(NextToken && { NextToken }) };
      const answer = await client.send(new sdk.DescribeVolumesCommand(input), options);
      return { items: answer.Volumes ?? [], next: answer.NextToken };
    });
  }

  async #pages<T>(
    signal: AbortSignal,
    page: (
      sdk: typeof Sdk,
      options: { abortSignal: AbortSignal },
      token: string | undefined,
    ) => Promise<{ items: T[]; next: string | undefined }>,
  ): Promise<T[]> {
    const all: T[] = [];
    let token: string | undefined;
    do {
      const { items, next } = await this.#call((sdk, options) => page(sdk, options, token), signal);
      all.push(...items);
      token = next;
    } while (token);
    return all;
  }

  async #until<T>(what: string, look: () => Promise<T | undefined>, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    const endsAtMs = clock.nowMs() + STATE_MS_MAX;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (clock.nowMs() >= endsAtMs) throw rokkaErrors.ROKKA_RESTORE_LATE([what, STATE_MS_MAX]);
      await clock.sleep(LOOK_MS, signal);
    }
  }

  /** @throws ROKKA_RESTORE_REFUSED where the role may not; what EC2 answers; the signal's reason */
  async #call<T>(call: Call<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const sdk = await import('@aws-sdk/client-ec2');
    const late = new AbortController();
    const cancel = this.#options.clock.after(CALL_MS_MAX, () =>
      late.abort(rokkaErrors.ROKKA_RESTORE_LATE(['EC2 answers', CALL_MS_MAX])),
    );
    try {
      return await call(sdk, { abortSignal: AbortSignal.any([signal, late.signal]) });
    } catch (error) {
      const { name, message } = error as Error;
      if (name === 'UnauthorizedOperation')
        throw rokkaErrors.ROKKA_RESTORE_REFUSED([`the instance's role lacks a right: ${message}`]);
      throw error;
    } finally {
      cancel();
    }
  }
}

function nowOf({ VolumeId, State, Attachments = [] }: Volume): VolumeNow {
  const [attachment] = Attachments;
  return {
    volume: must(VolumeId),
    state: must(State),
    ...(attachment && {
      attachment: {
        device: must(attachment.Device),
        isEnding: attachment.State === 'detaching' || attachment.State === 'busy',
        isDone: attachment.State === 'attached',
      },
    }),
  };
}
