/** What goes wrong in STS, as the exceptions that its clients know; codes without a modelled exception are IAM's and STS's common ones. */
import {
  PackedPolicyTooLargeException,
  MalformedPolicyDocumentException,
  STSServiceException,
} from '@aws-sdk/client-sts';

/** Codes without a modelled exception have no status in the SDK's schemas either. */
const failure = (name: string, message: string, httpStatusCode = 400) =>
  new STSServiceException({ name, $fault: 'client', message, $metadata: { httpStatusCode } });

export const stsFailures = {
  accessDenied: (arn: string, action: string, resource: string) =>
    failure(
      'AccessDenied',
      `User: ${arn} is not authorized to perform: ${action} on resource: ${resource}`,
      403,
    ),
  refused: (why: string) => failure('AccessDenied', why, 403),
  validation: (why: string) => failure('ValidationError', why),
  tooMany: () =>
    failure('Throttling', 'Nearly all places for temporary keys are taken: wait until some have expired'),
  malformedPolicy: (why: string) => new MalformedPolicyDocumentException({ message: why, $metadata: {} }),
  packedPolicyTooLarge: (size: number, max: number) =>
    new PackedPolicyTooLargeException({
      message: `The session policies have ${size} characters, ${max} are allowed`,
      $metadata: {},
    }),
};
