import type { DescribeInstanceInformationCommand, InstanceInformation } from '@aws-sdk/client-ssm';
import type { InputOf, Operation } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { type AgentRecord, isOnline, readAgents } from '../agents.ts';
import type { SsmInstance, SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';
import { managedInstances } from '../targets.ts';

type Input = InputOf<typeof DescribeInstanceInformationCommand>;

interface Managed {
  readonly instance: SsmInstance;
  readonly shape: InstanceInformation;
}

/**
 * Machines whose agents have registered.
 * @throws InvalidFilterKey, InvalidInstanceInformationFilterValue, InvalidNextToken, ValidationException
 */
export const describeInstanceInformation =
  (services: SsmServices): Operation<typeof DescribeInstanceInformationCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['Filters', 'InstanceInformationFilterList', 'MaxResults', 'NextToken']);
    const filters = filtersOf(input);
    const agents = await readAgents(services.store);
    const nowMs = services.clock.wallMs();
    const managed = (await managedInstances(services, scope)).map((instance) => ({
      instance,
      // Agents are never taken out of the registry.
      shape: informationShape(instance, must(agents.get(instance.machineKey)), nowMs),
    }));
    const { items, NextToken } = pageOf(services, {
      items: managed.filter((each) => filters.every((filter) => passes(each, filter))),
      keyOf: ({ instance }) => instance.id,
      input,
      scope,
      asked: ['instances', filters],
      limits: { min: 5, max: 50 },
    });
    return {
      InstanceInformationList: items.map(({ shape }) => shape),
      ...(NextToken !== undefined && { NextToken }),
    };
  };

function informationShape({ id }: SsmInstance, agent: AgentRecord, nowMs: number): InstanceInformation {
  return {
    InstanceId: id,
    PingStatus: isOnline(agent, nowMs) ? 'Online' : 'ConnectionLost',
    LastPingDateTime: new Date(agent.pingedAtMs),
    AgentVersion: agent.version,
    IsLatestVersion: true,
    PlatformType: 'Linux',
    PlatformName: agent.platformName,
    PlatformVersion: agent.platformVersion,
    RegistrationDate: new Date(agent.registeredAtMs),
    ResourceType: 'EC2Instance',
    IPAddress: agent.ipAddress,
    ComputerName: agent.computerName,
    SourceId: id,
    SourceType: 'AWS::EC2::Instance',
  };
}

interface InformationFilter {
  readonly key: string;
  readonly values: readonly string[];
}

/** Both kinds say the same. */
function filtersOf({ Filters = [], InstanceInformationFilterList: older = [] }: Input): InformationFilter[] {
  if (Filters.length > 0 && older.length > 0)
    throw ssmFailures.invalid('Filters and InstanceInformationFilterList cannot both be given.');
  const filters = [
    ...Filters.map(({ Key = '', Values = [] }) => ({ key: Key, values: Values })),
    ...older.map(({ key = '', valueSet = [] }) => ({ key, values: valueSet })),
  ];
  for (const { key, values } of filters) {
    if (!Object.hasOwn(LOOKS, key) && key !== 'tag-key' && !key.startsWith('tag:'))
      throw ssmFailures.filterKey(key);
    if (values.length === 0)
      throw ssmFailures.instanceFilterValue(`The filter ${key.slice(0, 64)} needs a value.`);
  }
  return filters;
}

/** AWS has the last three, of what nothing here has. */
const LOOKS: Readonly<Record<string, (shape: InstanceInformation) => string | undefined>> = {
  InstanceIds: ({ InstanceId }) => InstanceId,
  PingStatus: ({ PingStatus }) => PingStatus,
  PlatformTypes: ({ PlatformType }) => PlatformType,
  AgentVersion: ({ AgentVersion }) => AgentVersion,
  ResourceType: ({ ResourceType }) => ResourceType,
  SourceIds: ({ SourceId }) => SourceId,
  SourceTypes: ({ SourceType }) => SourceType,
  ActivationIds: () => undefined,
  AssociationStatus: () => undefined,
  IamRole: () => undefined,
};

function passes({ instance: { tags }, shape }: Managed, { key, values }: InformationFilter): boolean {
  if (key === 'tag-key') return values.some((name) => Object.hasOwn(tags, name));
  if (key.startsWith('tag:')) {
    const name = key.slice('tag:'.length);
    return Object.hasOwn(tags, name) && values.includes(tags[name]);
  }
  const value = LOOKS[key](shape);
  return value !== undefined && values.includes(value);
}
