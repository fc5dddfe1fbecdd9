/** What the machine that made a cluster has once other machines take part: the authority, the desk, certificates of its own processes. */
import type { Registry } from '@rokka/registry';
import type { ClusterAuthority, TokenRecord } from '@rokka/trust';
import { listeningAddress, setListeningAddress } from '../cluster.ts';
import { openClusterRegistry } from '../cluster-registry.ts';
import { type DataDirectory, dataPaths } from '../data-directory.ts';
import type { NodeAccess } from '../node-set.ts';
import type { RemoteAccess } from '../processes/node-process.ts';
import { Desk, type TokenPurpose } from './desk.ts';
import { deskAddress, formatListen, type ListenAddress, parseListen } from './listen-address.ts';
import { ensureCertificate, openLocalAuthority } from './local-authority.ts';

export interface ManyMachinesOptions {
  data: DataDirectory;
  /** Undefined: what was said last. */
  listen: ListenAddress | undefined;
  log(level: 'info' | 'warn', text: string): void;
}

export type TokenRequest =
  | { readonly action: 'issue'; readonly for: TokenPurpose; readonly hours: number }
  | { readonly action: 'list' }
  | { readonly action: 'revoke'; readonly id: string };

export class ManyMachines implements AsyncDisposable {
  readonly listen: ListenAddress;
  readonly authority: ClusterAuthority;
  readonly desk: Desk;
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: {
    listen: ListenAddress;
    authority: ClusterAuthority;
    desk: Desk;
    resources: AsyncDisposableStack;
  }) {
    this.listen = parts.listen;
    this.authority = parts.authority;
    this.desk = parts.desk;
    this.#resources = parts.resources;
  }

  /** Undefined while the cluster is on one machine. @throws TRUST_FILE_*, what `Desk.open` throws, what the registry throws */
  static async open(options: ManyMachinesOptions): Promise<ManyMachines | undefined> {
    const { data, log } = options;
    const resources = new AsyncDisposableStack();
    try {
      const registry = resources.use(await openClusterRegistry(data.path));
      const listen = options.listen ?? (await lastListen(registry));
      if (!listen) {
        await resources.disposeAsync();
        return undefined;
      }
      const authority = await openLocalAuthority(data.path, data.cluster);
      const desk = resources.use(await Desk.open({ directory: data.path, authority, registry, listen, log }));
      // Only what could be listened on is remembered.
      await setListeningAddress(registry, formatListen(listen));
      return new ManyMachines({ listen, authority, desk, resources });
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** What the nodes of this machine need. */
  get nodeAccess(): NodeAccess {
    return { listen: this.listen, authority: this.authority };
  }

  /** A certificate for the head of this machine. @throws TRUST_FILE_*, TRUST_AUTHORITY_ENDED */
  async headAccess(directory: string): Promise<Pick<RemoteAccess, 'certificate' | 'desk'>> {
    const file = dataPaths.certificate(directory, 'head');
    const { host } = this.listen;
    await ensureCertificate(this.authority, { file, role: 'head', id: 'head-1', host });
    return { certificate: file, desk: deskAddress(this.listen) };
  }

  /** @throws ROKKA_NO_ZONE, TRUST_TOKENS_FULL, TRUST_TOKEN_UNKNOWN */
  async token(request: TokenRequest): Promise<{ token?: string; tokens: readonly TokenRecord[] }> {
    if (request.action === 'list') return { tokens: await this.desk.listTokens() };
    if (request.action === 'revoke') return { tokens: [await this.desk.revokeToken(request.id)] };
    const { token, record } = await this.desk.issueToken(request.for, request.hours);
    return { token, tokens: [record] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function lastListen(registry: Registry): Promise<ListenAddress | undefined> {
  const said = await listeningAddress(registry);
  return said === undefined ? undefined : parseListen(said);
}
