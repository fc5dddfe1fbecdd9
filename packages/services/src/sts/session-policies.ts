/** Policies that narrow one session (STS API Reference, AssumeRole). Managed ones count as they are when it begins. */
import type { PolicyDescriptorType } from '@aws-sdk/client-sts';
import type { IamContext } from '../iam/iam-context.ts';
import { sizeOf } from '../iam/policy-texts.ts';
import { PolicyProblem } from '../iam/policy/policy-problem.ts';
import { defaultVersionOf, findPolicy } from '../iam/principal-policies.ts';
import { stsFailures } from './sts-failures.ts';

const ARNS_MAX = 10;
const INLINE_MAX = 2048;

export interface SessionPolicyInput {
  Policy?: string | undefined;
  PolicyArns?: PolicyDescriptorType[] | undefined;
}

/** Undefined where the session is not narrowed. @throws MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError */
export async function sessionPolicies(
  context: IamContext,
  { Policy: inline, PolicyArns: descriptors = [] }: SessionPolicyInput,
): Promise<string[] | undefined> {
  if (descriptors.length > ARNS_MAX)
    throw stsFailures.validation(`PolicyArns has more than ${ARNS_MAX} members`);
  if (inline !== undefined) checkInline(context, inline);
  const managed = await Promise.all(descriptors.map(({ arn }) => managedText(context, arn)));
  const texts = [...(inline === undefined ? [] : [inline]), ...managed];
  return texts.length > 0 ? texts : undefined;
}

function checkInline({ policies }: IamContext, text: string): void {
  const size = sizeOf(text);
  if (size > INLINE_MAX) throw stsFailures.packedPolicyTooLarge(size, INLINE_MAX);
  try {
    policies.compile(text);
  } catch (error) {
    if (error instanceof PolicyProblem) throw stsFailures.malformedPolicy(error.message);
    throw error;
  }
}

async function managedText({ store }: IamContext, arn: string | undefined): Promise<string> {
  const policy = arn === undefined ? undefined : await findPolicy(store, arn);
  const text = policy && defaultVersionOf(policy);
  if (text === undefined) throw stsFailures.validation(`Policy ${arn} does not exist`);
  return text;
}
