import type {
  SimulateCustomPolicyCommandInput,
  SimulateCustomPolicyCommandOutput,
} from '@aws-sdk/client-iam';
import type { IamContext, Output } from '../iam-context.ts';
import { givenBoundary, givenPolicies, simulate } from '../simulation.ts';

/** @throws MalformedPolicyDocumentException, InvalidInputException, ValidationError */
export async function simulateCustomPolicy(
  input: SimulateCustomPolicyCommandInput,
  context: IamContext,
): Promise<Output<SimulateCustomPolicyCommandOutput>> {
  const identity = givenPolicies(context, input.PolicyInputList);
  const boundary = givenBoundary(context, input.PermissionsBoundaryPolicyInputList);
  return simulate({ input, identity, boundary, known: {} });
}
