/**
 * Which instance profile a machine has, and how that is told. The record is all there is to it: it counts at once, and what the machine
 * may follows from the profile as it is when keys are asked for (instance-credentials.ts).
 */
import type {
  IamInstanceProfile,
  IamInstanceProfileAssociation,
  IamInstanceProfileAssociationState,
} from '@aws-sdk/client-ec2';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { ec2Failures } from './ec2-failures.ts';
import { given } from './ec2-inputs.ts';
import { type ProfileAssociationRecord, recordKeys, recordPrefixes } from './ec2-records.ts';

/** Of this instance, where it has one. */
export const readAssociation = (store: RecordStore, scope: Scope, instance: string) =>
  store.get<ProfileAssociationRecord>(recordKeys.profileAssociation(scope, instance));

/** In the order of the instances' ids. */
export const listAssociations = (store: RecordStore, scope: Scope) =>
  store.list<ProfileAssociationRecord>(recordPrefixes.profileAssociations(scope));

/** @throws MissingParameter, InvalidAssociationID.NotFound */
export async function findAssociation(
  store: RecordStore,
  scope: Scope,
  text: string | undefined,
): Promise<ProfileAssociationRecord> {
  const id = given(text, 'AssociationId');
  const found = (await listAssociations(store, scope)).find((each) => each.id === id);
  if (!found) throw ec2Failures.noAssociation(id);
  return found;
}

/** Puts another one in its place, or none. @throws InvalidAssociationID.NotFound where it is the instance's no more */
export async function changeAssociation(
  store: RecordStore,
  scope: Scope,
  of: { known: ProfileAssociationRecord; to: ProfileAssociationRecord | undefined },
): Promise<void> {
  const { id, instance } = of.known;
  await store.change<ProfileAssociationRecord>(recordKeys.profileAssociation(scope, instance), (found) => {
    if (found?.id !== id) throw ec2Failures.noAssociation(id);
    return of.to;
  });
}

export function associationShape(
  association: ProfileAssociationRecord,
  State: IamInstanceProfileAssociationState = 'associated',
): IamInstanceProfileAssociation {
  return {
    AssociationId: association.id,
    InstanceId: association.instance,
    IamInstanceProfile: profileShape(association),
    State,
    Timestamp: new Date(association.sinceMs),
  };
}

export const profileShape = ({ profile: { arn, id } }: ProfileAssociationRecord): IamInstanceProfile => ({
  Arn: arn,
  Id: id,
});
