/** What goes wrong in IAM, as the exceptions that its clients know. */
import {
  DeleteConflictException,
  EntityAlreadyExistsException,
  IAMServiceException,
  InvalidInputException,
  LimitExceededException,
  MalformedPolicyDocumentException,
  NoSuchEntityException,
  UnmodifiableEntityException,
} from '@aws-sdk/client-iam';
import type { EntityKind } from './documents.ts';

const WORDS: Record<EntityKind, string> = {
  users: 'user',
  groups: 'group',
  roles: 'role',
  policies: 'policy',
  'instance-profiles': 'instance profile',
};

const capital = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1);

export const iamFailures = {
  noSuchEntity: (kind: EntityKind, name: string) =>
    new NoSuchEntityException({
      message: `The ${WORDS[kind]} with name ${name} cannot be found.`,
      $metadata: {},
    }),
  notFound: (what: string) =>
    new NoSuchEntityException({ message: `${what} cannot be found.`, $metadata: {} }),
  notAttachable: (arn: string | undefined) =>
    new NoSuchEntityException({
      message: `Policy ${arn} does not exist or is not attachable.`,
      $metadata: {},
    }),
  alreadyExists: (kind: EntityKind, name: string) =>
    new EntityAlreadyExistsException({
      message: `${capital(WORDS[kind])} with name ${name} already exists.`,
      $metadata: {},
    }),
  deleteConflict: (what: string) =>
    new DeleteConflictException({ message: `Cannot delete entity, ${what} first.`, $metadata: {} }),
  limitExceeded: (what: string, max: number) =>
    new LimitExceededException({ message: `Cannot exceed quota for ${what}: ${max}`, $metadata: {} }),
  malformedPolicy: (why: string) => new MalformedPolicyDocumentException({ message: why, $metadata: {} }),
  unmodifiable: (why: string) => new UnmodifiableEntityException({ message: why, $metadata: {} }),
  invalidInput: (why: string) => new InvalidInputException({ message: why, $metadata: {} }),
  /** IAM has no modelled exception for what its model's constraints forbid: this is the code it answers with. */
  validation: (why: string) =>
    new IAMServiceException({
      name: 'ValidationError',
      $fault: 'client',
      message: why,
      $metadata: { httpStatusCode: 400 },
    }),
};
