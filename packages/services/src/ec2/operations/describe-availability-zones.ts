import type { AvailabilityZone, DescribeAvailabilityZonesCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { type Scope, zonesOf } from '../../scope.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing } from '../ec2-lists.ts';

/** The three of the storage. @throws InvalidParameterValue */
export const describeAvailabilityZones: Operation<typeof DescribeAvailabilityZonesCommand> = (
  input,
  call,
) => {
  const scope = scopeOf(call);
  const { ZoneNames: names = [] } = input;
  demandBuilt(input, ['AllAvailabilityZones', 'Filters', 'ZoneNames']);
  const zones = zonesOf(scope);
  const stranger = names.find((name) => !zones.includes(name));
  if (stranger !== undefined)
    throw ec2Failures.parameter(`Invalid availability zone: [${stranger.slice(0, 64)}]`);
  const asked = zones.filter((zone) => names.length === 0 || names.includes(zone));
  const shapes = asked.map((zone) => zoneShape(scope, zone));
  return { AvailabilityZones: filtered(shapes, input.Filters, { table: FILTERS }) };
};

const zoneShape = ({ region }: Scope, ZoneName: string): AvailabilityZone => ({
  ZoneName,
  RegionName: region,
  GroupName: region,
  NetworkBorderGroup: region,
  ZoneType: 'availability-zone',
  State: 'available',
  OptInStatus: 'opt-in-not-required',
  Messages: [],
});

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html */
const FILTERS: FilterTable<AvailabilityZone> = {
  ...ofNothing('group-long-name', 'message', 'parent-zone-id', 'parent-zone-name', 'zone-id'),
  'group-name': ({ GroupName }) => [GroupName],
  'opt-in-status': ({ OptInStatus }) => [OptInStatus],
  'region-name': ({ RegionName }) => [RegionName],
  state: ({ State }) => [State],
  'zone-name': ({ ZoneName }) => [ZoneName],
  'zone-type': ({ ZoneType }) => [ZoneType],
};
