import type { DescribeInstancesCommand, Instance, Reservation } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf, tagsShown } from '../ec2-lists.ts';
import { named } from '../ec2-lookup.ts';
import { reservationShape } from '../instance-shapes.ts';
import { listInstanceTags } from '../instance-tags.ts';
import { listInstances } from '../instances.ts';
import { NOT_OF_INSTANCES } from '../instance-filters.ts';
import { listAssociations } from '../profile-associations.ts';
import { readScope } from '../volume-facts.ts';

/** The machines of the cluster, each in a reservation of its own. @throws InvalidInstanceID.NotFound, and what lists may not be asked */
export const describeInstances =
  (services: Ec2Services): Operation<typeof DescribeInstancesCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { InstanceIds: ids } = input;
    demandBuilt(input, ['Filters', 'InstanceIds', 'MaxResults', 'NextToken']);
    const { volumes } = await readScope(services, scope);
    const associations = await listAssociations(services.store, scope);
    const tags = await listInstanceTags(services.store, scope);
    const all = (await listInstances(services, scope)).map((each) =>
      reservationShape(scope, each, { volumes, associations, tags }),
    );
    const { items, NextToken } = pageOf(services, {
      items: filtered(named(all, ids, { kind: 'instance', idOf }), input.Filters, {
        table: FILTERS,
        tagsOf: (reservation) => tagsShown(inside(reservation)),
      }),
      keyOf: idOf,
      input,
      scope,
      asked: ['instances'],
      ids,
    });
    return { Reservations: items, ...(NextToken !== undefined && { NextToken }) };
  };

/** There is one in each. */
const inside = ({ Instances: [instance] = [] }: Reservation): Instance => instance ?? {};
const idOf = (reservation: Reservation) => inside(reservation).InstanceId ?? '';
const mappings = (reservation: Reservation) => inside(reservation).BlockDeviceMappings ?? [];

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
const FILTERS: FilterTable<Reservation> = {
  ...ofNothing(...NOT_OF_INSTANCES),
  'availability-zone': (of) => [inside(of).Placement?.AvailabilityZone],
  'block-device-mapping.attach-time': (of) => mappings(of).map(({ Ebs }) => Ebs?.AttachTime),
  'block-device-mapping.delete-on-termination': (of) =>
    mappings(of).map(({ Ebs }) => Ebs?.DeleteOnTermination),
  'block-device-mapping.device-name': (of) => mappings(of).map(({ DeviceName }) => DeviceName),
  'block-device-mapping.status': (of) => mappings(of).map(({ Ebs }) => Ebs?.Status),
  'block-device-mapping.volume-id': (of) => mappings(of).map(({ Ebs }) => Ebs?.VolumeId),
  'iam-instance-profile.arn': (of) => [inside(of).IamInstanceProfile?.Arn],
  'iam-instance-profile.id': (of) => [inside(of).IamInstanceProfile?.Id],
  'instance-id': (of) => [idOf(of)],
  'instance-state-code': (of) => [inside(of).State?.Code],
  'instance-state-name': (of) => [inside(of).State?.Name],
  'instance-type': (of) => [inside(of).InstanceType],
  'launch-index': (of) => [inside(of).AmiLaunchIndex],
  'launch-time': (of) => [inside(of).LaunchTime],
  'monitoring-state': (of) => [inside(of).Monitoring?.State],
  'operator.managed': () => [false],
  'owner-id': ({ OwnerId }) => [OwnerId],
  'private-dns-name': (of) => [inside(of).PrivateDnsName],
  'private-ip-address': (of) => [inside(of).PrivateIpAddress],
  'reservation-id': ({ ReservationId }) => [ReservationId],
  'root-device-name': (of) => [inside(of).RootDeviceName],
  'root-device-type': (of) => [inside(of).RootDeviceType],
  tenancy: (of) => [inside(of).Placement?.Tenancy],
};
