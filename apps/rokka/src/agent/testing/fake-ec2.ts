/** As much of EC2 as a restore asks for: states that come a look later, calls that fail, and an agent that dies at one. */
import type { EC2Client, Image, Snapshot, Tag } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';

export const INSTANCE = 'i-00000000000000001';

/** `refuse`: nothing happens; `lose`: it happens, and is not told; `die`: the agent ends before the call, or `dieAfter` it. */
export type Fault = 'refuse' | 'lose' | 'die' | 'dieAfter';

interface FakeVolume {
  readonly id: string;
  readonly snapshot?: string;
  state: 'creating' | 'available' | 'in-use' | 'deleting';
  tags: Tag[];
  attachment?: { device: string; state: 'attaching' | 'attached' | 'detaching' };
}

interface Input {
  DryRun?: boolean;
  VolumeId?: string;
  SnapshotId?: string;
  Device?: string;
  Resources?: string[];
  Tags?: Tag[];
  TagSpecifications?: { Tags?: Tag[] }[];
  Filters?: { Name: string; Values: string[] }[];
}

export class FakeEc2 {
  readonly volumes = new Map<string, FakeVolume>();
  readonly snapshots: Snapshot[] = [];
  readonly images: Image[] = [];
  /** Operations that the role may not. */
  readonly denied = new Set<string>();
  /** Devices of other accounts. */
  readonly taken = new Set<string>();
  /** All that were carried out, but for dry runs and looks. */
  readonly changes: string[] = [];
  /** By the number of the call, the first of which is 0. */
  faults: Readonly<Record<number, Fault>> = {};
  calls = 0;
  #ids = 0;
  #agent = new AbortController();

  /** Whether the agent lives. A new one begins when the last one has died. */
  get ending(): AbortSignal {
    return this.#agent.signal;
  }

  newAgent(faults: FakeEc2['faults'] = {}): void {
    this.#agent = new AbortController();
    this.faults = faults;
    this.calls = 0;
  }

  killAgent(): void {
    this.#agent.abort(new Error('the agent ends'));
  }

  /** One that was always there. */
  put(id: string, device: string): void {
    this.volumes.set(id, { id, state: 'in-use', tags: [], attachment: { device, state: 'attached' } });
  }

  mountPointOf(id: string): string | undefined {
    const { attachment } = this.volumes.get(id) ?? {};
    return attachment?.state === 'attached' ? `/mnt${attachment.device}` : undefined;
  }

  /** What is mounted: what it shows by its device. Then what is not. */
  get stand(): Record<string, string> {
    const all = [...this.volumes.values()].filter(({ state }) => state !== 'deleting');
    return Object.fromEntries(
      all.map(({ id, snapshot, state, attachment }) =>
        attachment ? [attachment.device, `${snapshot ?? id} ${attachment.state}`] : [snapshot ?? id, state],
      ),
    );
  }

  client(): EC2Client {
    const agent = this.#agent;
    const send = async (command: { constructor: { name: string }; input: Input }) => {
      agent.signal.throwIfAborted();
      const fault = this.faults[this.calls++];
      if (fault === 'die') agent.abort(new Error('the agent ends'));
      if (fault === 'die' || fault === 'refuse') throw failure('ServiceUnavailable', 'it is away');
      const answer = this.#carryOut(command.constructor.name.replace(/Command$/, ''), command.input);
      if (fault === 'dieAfter') agent.abort(new Error('the agent ends'));
      if (fault === 'dieAfter' || fault === 'lose') throw failure('TimeoutError', 'no answer came');
      return answer;
    };
    return { send, destroy() {} } as unknown as EC2Client;
  }

  #carryOut(operation: string, input: Input): unknown {
    if (this.denied.has(operation)) throw failure('UnauthorizedOperation', `no right to ${operation}`);
    if (input.DryRun) throw failure('DryRunOperation', 'it would have succeeded');
    switch (operation) {
      case 'DescribeSnapshots':
        return { Snapshots: this.snapshots };
      case 'DescribeImages':
        return { Images: this.images };
      case 'DescribeInstances':
        return { Reservations: [{ Instances: [this.#instance()] }] };
      case 'DescribeVolumes':
        return this.#look(must(input.Filters?.[0]));
      default:
        this.changes.push(operation);
        return this.#change(operation, input);
    }
  }

  #change(operation: string, input: Input): unknown {
    if (operation === 'CreateVolume') {
      const id = `vol-new${++this.#ids}`;
      const tags = input.TagSpecifications?.[0]?.Tags ?? [];
      this.volumes.set(id, { id, snapshot: must(input.SnapshotId), state: 'creating', tags });
      return { VolumeId: id };
    }
    if (operation === 'CreateTags') {
      for (const id of input.Resources ?? []) this.#volume(id).tags.push(...(input.Tags ?? []));
      return {};
    }
    const volume = this.#volume(must(input.VolumeId));
    const { attachment } = volume;
    if (operation === 'AttachVolume') {
      const device = must(input.Device);
      const isTaken = [...this.volumes.values()].some((other) => other.attachment?.device === device);
      if (isTaken || this.taken.has(device))
        throw failure('InvalidParameterValue', `${device} is already in use`);
      if (volume.state !== 'available') throw failure('IncorrectState', volume.state);
      Object.assign(volume, { state: 'in-use', attachment: { device, state: 'attaching' } });
    } else if (operation === 'DetachVolume') {
      if (!attachment) throw failure('IncorrectState', 'it is not attached');
      attachment.state = 'detaching';
    } else if (operation === 'DeleteVolume') {
      if (volume.state !== 'available') throw failure('IncorrectState', volume.state);
      volume.state = 'deleting';
    } else throw new Error(`${operation} is not faked`);
    return {};
  }

  #volume(id: string): FakeVolume {
    const volume = this.volumes.get(id);
    if (!volume) throw failure('InvalidVolume.NotFound', id);
    return volume;
  }

  #instance() {
    const attached = [...this.volumes.values()].flatMap(({ id, attachment }) =>
      attachment ? [{ DeviceName: attachment.device, Ebs: { VolumeId: id } }] : [],
    );
    const boot = { DeviceName: '/dev/xvda', Ebs: { VolumeId: 'vol-boot' } };
    return {
      Placement: { AvailabilityZone: 'us-east-1a' },
      RootDeviceName: boot.DeviceName,
      BlockDeviceMappings: [boot, ...attached],
    };
  }

  /** What is under way is so at the next look. */
  #look({ Name, Values }: { Name: string; Values: string[] }) {
    const tag = Name.startsWith('tag:') ? Name.slice('tag:'.length) : undefined;
    const found = [...this.volumes.values()].filter(({ id, tags }) =>
      tag === undefined
        ? Values.includes(id)
        : tags.some(({ Key, Value }) => Key === tag && Values.includes(Value ?? '')),
    );
    const Volumes = found.map(({ id, state, tags, attachment }) => ({
      VolumeId: id,
      State: state,
      Tags: [...tags],
      Attachments: attachment ? [{ Device: attachment.device, State: attachment.state }] : [],
    }));
    for (const volume of this.volumes.values()) this.#goOn(volume);
    return { Volumes };
  }

  #goOn(volume: FakeVolume): void {
    const { attachment } = volume;
    if (volume.state === 'creating') volume.state = 'available';
    else if (volume.state === 'deleting') this.volumes.delete(volume.id);
    else if (attachment?.state === 'attaching') attachment.state = 'attached';
    else if (attachment?.state === 'detaching') {
      volume.state = 'available';
      delete volume.attachment;
    }
  }
}

/** As the SDK throws it. */
const failure = (name: string, message: string) => Object.assign(new Error(message), { name, $metadata: {} });
