/** A cluster's authority with its places to join and to renew, on loopback, for system tests. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock, systemRandom, type Clock, type CodedError } from '@rokka/kernel';
import { tlsNetwork, type Listener, type TlsIdentity } from '@rokka/transport';
import { ClusterAuthority } from '../authority.ts';
import { decodeJoinToken } from '../join-token.ts';
import { JoinTokens, type IssueTokenOptions } from '../join-tokens.ts';
import { listenForJoins, type JoinServerOptions } from '../join-server.ts';
import { renewals, type RenewalOptions } from '../renewal.ts';
import { MemoryTokenStore } from '../token-store.ts';

export interface ClusterOptions {
  cluster?: string;
  clock?: Clock;
  lifetimeMs?: number;
  join?: Partial<JoinServerOptions>;
  renewal?: Partial<RenewalOptions>;
}

export class TestCluster implements AsyncDisposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trust-'));
  readonly store = new MemoryTokenStore();
  readonly refused: CodedError[] = [];
  readonly joined: string[] = [];
  readonly renewed: string[] = [];
  authority!: ClusterAuthority;
  tokens!: JoinTokens;
  /** Of the authority's process. */
  identity!: TlsIdentity;
  joins!: Listener;
  renewals!: Listener;

  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const { cluster = 'petals', clock = systemClock, lifetimeMs } = options;
    const made = new TestCluster();
    const file = path.join(made.directory, 'authority.json');
    made.authority = await ClusterAuthority.make({
      file,
      cluster,
      clock,
      ...(lifetimeMs ? { lifetimeMs } : {}),
    });
    made.tokens = new JoinTokens({ store: made.store, clock });
    made.identity = await made.issue('authority', 'ca');
    const onRefused = (reason: CodedError) => void made.refused.push(reason);
    made.joins = await listenForJoins({
      address: '127.0.0.1:0',
      clock,
      authority: made.authority,
      tokens: made.tokens,
      identity: () => made.identity,
      onJoined: ({ role, id, zone }) => void made.joined.push(`${role} ${id} ${zone}`),
      onRefused,
      ...options.join,
    });
    made.renewals = await tlsNetwork({
      clock,
      random: systemRandom,
      identity: () => made.identity,
      onRefused,
    }).listen(
      '127.0.0.1:0',
      renewals({
        authority: made.authority,
        onRenewed: ({ id }) => void made.renewed.push(id),
        onRefused,
        ...options.renewal,
      }),
    );
    return made;
  }

  issue(
    role: 'authority' | 'node' | 'head' | 'admin',
    id: string,
    hosts = ['127.0.0.1'],
  ): Promise<TlsIdentity> {
    return this.authority.issue({ role, id, hosts });
  }

  async token(more: Partial<IssueTokenOptions> = {}): Promise<string> {
    const { authority } = this;
    const addresses = [this.joins.address];
    const issued = await this.tokens.issue({ authority, addresses, role: 'node', zone: 'a', ...more });
    return issued.token;
  }

  /** Whether nobody has used the token. */
  async isUnused(token: string): Promise<boolean> {
    const { tokenId } = decodeJoinToken(token);
    return (await this.store.get(tokenId))?.record.usedBy === undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.joins[Symbol.asyncDispose]();
    await this.renewals[Symbol.asyncDispose]();
    fs.rmSync(this.directory, { recursive: true });
  }
}
