/** Users, roles and the like over a registry, on a clock that a test moves. */
import type { AuthorizationRequest, Credential, Decision } from '@rokka/gateway';
import { must, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import type { IamContext } from '../iam/iam-context.ts';
import { IdentityAuthorizer } from '../iam/identity-authorizer.ts';
import { IdentityCredentials } from '../iam/identity-credentials.ts';
import { IdentityStore } from '../iam/identity-store.ts';
import { ensureAdministrator } from '../iam/administrator.ts';
import { PolicyCache } from '../iam/policy-cache.ts';

export const REGION = 'eu-west-1';

export interface IdentityCluster {
  readonly registry: Registry;
  readonly clock: VirtualClock;
  readonly store: IdentityStore;
  readonly account: string;
  readonly credentials: IdentityCredentials;
  readonly authorizer: IdentityAuthorizer;
  readonly administrator: Credential;
  /** For calls of the administrator. */
  readonly context: IamContext;
  /** For calls of whoever has this key. */
  as(accessKeyId: string): Promise<IamContext>;
  decide(accessKeyId: string, request: Omit<AuthorizationRequest, 'credential'>): Promise<Decision>;
}

export async function identityCluster(
  options: { registry?: Registry; clock?: VirtualClock; seed?: number } = {},
): Promise<IdentityCluster> {
  const { registry = new MemoryRegistry(), clock = new VirtualClock(), seed = 1 } = options;
  const random = new SeededRandom(seed);
  const { account, administrator } = await ensureAdministrator({ registry, clock, random });
  const store = new IdentityStore({ registry, clock, account });
  const policies = new PolicyCache();
  const credentials = new IdentityCredentials({ store, clock });
  const authorizer = new IdentityAuthorizer({ store, policies, clock });
  const find = async (accessKeyId: string) =>
    must(await credentials.find(accessKeyId), `no key ${accessKeyId}`);
  const call = { requestId: 'request', region: REGION, clock, store, policies, random };
  const own = await find(must(administrator, 'an administrator').accessKeyId);
  return {
    registry,
    clock,
    store,
    account,
    credentials,
    authorizer,
    administrator: own,
    context: { ...call, credential: own },
    as: async (accessKeyId) => ({ ...call, credential: await find(accessKeyId) }),
    decide: async (accessKeyId, request) =>
      authorizer.decide({ ...request, credential: await find(accessKeyId) }),
  };
}
