/** Policies as callers send them. */
import { iamFailures } from './iam-failures.ts';
import type { PolicyCache } from './policy-cache.ts';
import type { PolicyKind } from './policy/policy-document.ts';
import { PolicyProblem } from './policy/policy-problem.ts';

/** What the API takes at all (IAM API Reference, CreatePolicy). */
const TEXT_MAX = 131_072;

/** White space does not count (IAM User Guide, "IAM and AWS STS quotas"). */
export const sizeOf = (text: string) => text.replace(/\s/g, '').length;

/** The text, if it is a policy. @throws MalformedPolicyDocumentException, ValidationError */
export function checkedPolicy(policies: PolicyCache, text: string | undefined, kind: PolicyKind): string {
  if (text === undefined || text.length === 0 || text.length > TEXT_MAX)
    throw iamFailures.validation(`PolicyDocument must have 1 to ${TEXT_MAX} characters`);
  try {
    policies.compile(text, kind);
    return text;
  } catch (error) {
    if (error instanceof PolicyProblem) throw iamFailures.malformedPolicy(error.message);
    throw error;
  }
}
