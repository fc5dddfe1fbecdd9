import type {
  DescribeIamInstanceProfileAssociationsCommand,
  IamInstanceProfileAssociation,
} from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, pageOf } from '../ec2-lists.ts';
import { associationShape, listAssociations } from '../profile-associations.ts';

/** One of each machine that has a profile. @throws InvalidAssociationID.NotFound, and what lists may not be asked */
export const describeIamInstanceProfileAssociations =
  (services: Ec2Services): Operation<typeof DescribeIamInstanceProfileAssociationsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { AssociationIds: ids = [] } = input;
    demandBuilt(input, ['AssociationIds', 'Filters', 'MaxResults', 'NextToken']);
    const all = await listAssociations(services.store, scope);
    const unknown = ids.find((id) => !all.some((each) => each.id === id));
    if (unknown !== undefined) throw ec2Failures.noAssociation(unknown);
    const wanted = ids.length === 0 ? all : all.filter(({ id }) => ids.includes(id));
    const shapes = wanted.map((each) => associationShape(each));
    const { items, NextToken } = pageOf(services, {
      items: filtered(shapes, input.Filters, { table: FILTERS }),
      keyOf: ({ InstanceId = '' }) => InstanceId,
      input,
      scope,
      asked: ['iam-instance-profile-associations'],
      ids,
    });
    return { IamInstanceProfileAssociations: items, ...(NextToken !== undefined && { NextToken }) };
  };

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeIamInstanceProfileAssociations.html */
const FILTERS: FilterTable<IamInstanceProfileAssociation> = {
  'instance-id': ({ InstanceId }) => [InstanceId],
  state: ({ State }) => [State],
};
