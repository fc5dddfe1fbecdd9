/**
 * Handing a role on to a service: whoever could do so without being asked would get whatever that role may. It is a permission
 * of its own, beside that for the operation, and no operation itself (IAM User Guide, "Grant a user permissions to pass a role
 * to an AWS service").
 */
import type { ResourceAsk } from '@rokka/gateway';
import type { Tag } from './documents.ts';

/** The one that roles of machines are for. */
export const EC2_PRINCIPAL = 'ec2.amazonaws.com';

export interface Passing {
  /** Of the role. */
  arn: string;
  /** Of the role. */
  tags: readonly Tag[];
  /** That it is passed to; EC2 unless given. */
  service?: string;
  /** ARN of what gets it, where that is known. */
  associated?: string;
}

export function askForPassing({ arn, tags, associated, service = EC2_PRINCIPAL }: Passing): ResourceAsk {
  return {
    arn,
    action: 'iam:PassRole',
    conditions: {
      'iam:PassedToService': service,
      ...(associated !== undefined && { 'iam:AssociatedResourceArn': associated }),
      ...resourceTags(tags),
    },
  };
}

/** The condition keys that tags of users, roles and the like fill. */
export const resourceTags = (tags: readonly Tag[]): Record<string, string> =>
  Object.fromEntries(
    tags.flatMap(({ Key, Value }) => [
      [`aws:ResourceTag/${Key}`, Value],
      [`iam:ResourceTag/${Key}`, Value],
    ]),
  );
