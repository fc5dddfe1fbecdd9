/** ARNs of SSM. */
import { arnOf } from '../arn.ts';
import type { Scope } from '../scope.ts';

/** One that Amazon owns names no account. */
export const documentArn = ({ account, region }: Scope, name: string, isBuiltin: boolean) =>
  arnOf({ service: 'ssm', region, account: isBuiltin ? '' : account, resource: `document/${name}` });

export const associationArn = ({ account, region }: Scope, id: string) =>
  arnOf({ service: 'ssm', region, account, resource: `association/${id}` });

const DOCUMENT_ARN = /^arn:aws:ssm:([a-z0-9-]*):([0-9]{12})?:document\/([^/]+)$/;

/** The name in an ARN of a document in this account, or of Amazon's; what is no such ARN stays what it is. */
export function documentName(text: string, { account, region }: Scope): string {
  const [, inRegion, owner, name] = DOCUMENT_ARN.exec(text) ?? [];
  const isHere = inRegion === region && (owner === undefined || owner === account);
  return isHere ? name : text;
}
