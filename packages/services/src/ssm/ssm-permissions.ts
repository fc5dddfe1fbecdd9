/**
 * What a call must be allowed to act on. What names no command's resources in AWS's reference (lists, cancelling) is asked for `*`.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
 */
import type { ResourceAsk } from '@rokka/gateway';
import { arnOf } from '../arn.ts';
import type { Scope } from '../scope.ts';
import { isBuiltin } from './document-lookup.ts';
import { associationArn, documentArn, documentName } from './ssm-arns.ts';
import type { SsmInstance } from './ssm-context.ts';

/** Whether it is there, its operation says. @param text its name or ARN */
export function askForDocument(scope: Scope, text: string | undefined): ResourceAsk {
  const name = documentName(text ?? '', scope);
  return { arn: documentArn(scope, name.slice(0, 200), isBuiltin(name)) };
}

/** Whether it is there, its operation says. */
export const askForAssociation = (scope: Scope, id: string | undefined): ResourceAsk => ({
  arn: associationArn(scope, (id ?? '').slice(0, 200)),
});

/** All that SendCommand would ask for. */
export const asksToSend = (
  scope: Scope,
  of: { document: string | undefined; instances: readonly SsmInstance[] },
): (ResourceAsk & { readonly action: string })[] =>
  [
    askForDocument(scope, of.document),
    ...of.instances.map((instance) => askForInstance(scope, instance)),
  ].map((ask) => ({ ...ask, action: 'ssm:SendCommand' }));

export function askForInstance({ account, region }: Scope, { id, tags }: SsmInstance): ResourceAsk {
  const keys = Object.entries(tags).flatMap(([key, value]) => [
    [`aws:ResourceTag/${key}`, value],
    [`ssm:resourceTag/${key}`, value],
  ]);
  return {
    arn: arnOf({ service: 'ec2', region, account, resource: `instance/${id}` }),
    conditions: Object.fromEntries(keys),
  };
}
