/** Machines as instances: nothing is kept of them, all of it follows from the account, the region and the machine. */
import type { Scope } from '../scope.ts';
import type { Ec2Context, Machine } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { derivedId } from './ec2-ids.ts';
import { checkedId } from './ec2-inputs.ts';
import { GIB } from './ec2-records.ts';

export interface InstanceFacts {
  readonly id: string;
  readonly machine: Machine;
  /** `eu-north-1a`. */
  readonly zone: string;
  readonly reservation: string;
  /** Undefined where nothing is known of its disk. */
  readonly boot: BootVolume | undefined;
}

/** The disk that has the data directory: what the cluster itself stands on. */
export interface BootVolume {
  readonly id: string;
  readonly sizeGiB: number;
  /** As far as it is known. */
  readonly sinceMs: number | undefined;
}

/** In the order of their ids. */
export async function listInstances({ machines }: Pick<Ec2Context, 'machines'>, scope: Scope) {
  return (await machines())
    .map((machine) => instanceOf(machine, scope))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @throws InvalidInstanceID.NotFound, InvalidInstanceID.Malformed */
export async function findInstance(
  of: Pick<Ec2Context, 'machines'>,
  scope: Scope,
  text: string | undefined,
): Promise<InstanceFacts> {
  const id = checkedId('instance', text);
  const found = (await listInstances(of, scope)).find((each) => each.id === id);
  if (!found) throw ec2Failures.notFound('instance', [id]);
  return found;
}

/** The instance whose boot volume has this id, where one has. */
export async function ownerOfBoot(of: Pick<Ec2Context, 'machines'>, scope: Scope, id: string) {
  return (await listInstances(of, scope)).find(({ boot }) => boot?.id === id);
}

function instanceOf(machine: Machine, scope: Scope): InstanceFacts {
  const { key, zone, bootBytes, launchedAtMs: sinceMs } = machine;
  return {
    id: derivedId(scope, 'i', key),
    machine,
    zone: `${scope.region}${zone}`,
    reservation: derivedId(scope, 'r', key),
    boot:
      bootBytes === undefined
        ? undefined
        : {
            id: derivedId(scope, 'vol', key),
            sizeGiB: Math.max(1, Math.ceil(bootBytes / GIB)),
            sinceMs,
          },
  };
}
