/** What Data Lifecycle Manager works on: what EC2 and SSM do, it does through them. It starts nothing. */
import type { Clock, Random } from '@rokka/kernel';
import type { Ec2Context, Ec2Services } from '../ec2/ec2-context.ts';
import { ec2ServicesOf } from '../ec2/ec2-services.ts';
import type { IdentityServices } from '../iam/iam-context.ts';
import { RecordStore } from '../record-store.ts';
import type { SsmContext, SsmServices } from '../ssm/ssm-context.ts';
import { ssmServicesOf } from '../ssm/ssm-services.ts';

export interface DlmContext {
  /** Registry, clock, random numbers and roles are its, too. */
  readonly ec2: Ec2Context;
  readonly ssm: SsmContext;
}

/** The context with what is made of it once. */
export interface DlmServices {
  readonly store: RecordStore;
  readonly ec2: Ec2Services;
  readonly ssm: SsmServices;
  readonly identity: IdentityServices;
  readonly clock: Clock;
  readonly random: Random;
}

export function dlmServicesOf({ ec2, ssm }: DlmContext): DlmServices {
  const { registry, identity, clock, random } = ec2;
  return {
    store: new RecordStore({ registry, service: 'dlm' }),
    ec2: ec2ServicesOf(ec2),
    ssm: ssmServicesOf(ssm),
    identity,
    clock,
    random,
  };
}
