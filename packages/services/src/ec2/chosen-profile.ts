/**
 * The instance profile that a call names. It is looked up once in a call: the role that the caller must be allowed to pass is that of
 * the very profile that the machine gets, also where somebody makes one of that name in between.
 */
import type { IamInstanceProfileSpecification } from '@aws-sdk/client-ec2';
import type { ResourceAsk } from '@rokka/gateway';
import { entityKey, type InstanceProfileDocument, type RoleDocument } from '../iam/documents.ts';
import { entityArn, parseEntityArn } from '../iam/iam-arns.ts';
import type { IdentityStore } from '../iam/identity-store.ts';
import { askForPassing } from '../iam/passed-role.ts';
import { roleIn } from '../iam/profile-role.ts';
import type { Scope } from '../scope.ts';
import type { Ec2Context } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { given } from './ec2-inputs.ts';
import type { ProfileAssociationRecord } from './ec2-records.ts';

interface Input {
  readonly IamInstanceProfile: IamInstanceProfileSpecification | undefined;
}

/** Undefined are a profile that is not there, and the role of one that is empty. */
interface Choice {
  readonly arn: string | undefined;
  readonly profile: InstanceProfileDocument | undefined;
  readonly role: RoleDocument | undefined;
}

/** For one operation. */
export class ChosenProfiles {
  readonly #store: IdentityStore;
  /** Looked up for the authorizer, which is asked before the call is carried out. */
  readonly #known = new WeakMap<Input, Choice>();

  constructor({ identity }: Pick<Ec2Context, 'identity'>) {
    this.#store = identity.store;
  }

  /** What a caller must be allowed who gives it to this instance. @throws MissingParameter, InvalidParameterCombination */
  async asks(input: Input, scope: Scope, instance: ResourceAsk): Promise<readonly ResourceAsk[]> {
    const choice = await this.#look(input, scope);
    this.#known.set(input, choice);
    const { arn, role } = choice;
    const conditions = {
      ...instance.conditions,
      ...(arn !== undefined && { 'ec2:NewInstanceProfile': arn }),
    };
    if (!role) return [{ ...instance, conditions }];
    const passing = askForPassing({
      arn: entityArn(this.#store.account, 'roles', role),
      tags: role.tags,
      associated: instance.arn,
    });
    return [{ ...instance, conditions }, passing];
  }

  /** @throws InvalidParameterValue where there is none, or no role in it; MissingParameter, InvalidParameterCombination */
  async take(input: Input, scope: Scope): Promise<ProfileAssociationRecord['profile']> {
    const { arn, profile, role } = this.#known.get(input) ?? (await this.#look(input, scope));
    const { what, text } = nameIn(input);
    if (!profile || arn === undefined) throw ec2Failures.noProfile(what, text);
    if (!role) throw ec2Failures.parameter(`IAM Instance Profile "${arn}" has no associated IAM Roles`);
    return { arn, id: profile.id };
  }

  async #look(input: Input, scope: Scope): Promise<Choice> {
    const { what, text } = nameIn(input);
    const profile = await this.#find(scope, what === 'arn' ? parseEntityArn(text)?.name : text);
    const arn = profile && entityArn(this.#store.account, 'instance-profiles', profile);
    if (!profile || (what === 'arn' && text !== arn))
      return { arn: undefined, profile: undefined, role: undefined };
    return { arn, profile, role: await roleIn({ store: this.#store }, profile) };
  }

  async #find({ account }: Scope, name = ''): Promise<InstanceProfileDocument | undefined> {
    if (account !== this.#store.account || !/^[\w+=,.@-]{1,128}$/.test(name)) return undefined;
    const key = entityKey(account, 'instance-profiles', name);
    return (await this.#store.fresh<InstanceProfileDocument>(key))?.value;
  }
}

function nameIn({ IamInstanceProfile }: Input): { what: 'name' | 'arn'; text: string } {
  const { Name, Arn } = given(IamInstanceProfile, 'IamInstanceProfile');
  if (Name && Arn)
    throw ec2Failures.combination(
      "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
    );
  return Arn ? { what: 'arn', text: Arn } : { what: 'name', text: given(Name, 'IamInstanceProfile.Name') };
}
