/**
 * What the machine that made the cluster does for the others: lets machines join with tokens, registers them, renews
 * certificates. It runs in the supervisor, which has the cluster's authority; nothing of it is on the way of a commit, and
 * the cluster goes on while it is away.
 */
import * as fs from 'node:fs';
import { describeError, isCoded, systemClock, type CodedError } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { Connection, ConnectionHandler, Frame, MemberIdentity, Network } from '@rokka/transport';
import {
  JoinTokens,
  listenForJoins,
  renewals,
  renewFrom,
  type ClusterAuthority,
  type TokenRecord,
} from '@rokka/trust';
import { listNodes, zoneNamed } from '../cluster.ts';
import { dataPaths, translated } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { decodeRegistration, DESK, encodeJson, encodeRefusal, isForMember } from './desk-messages.ts';
import { deskAddress, formatListen, type ListenAddress } from './listen-address.ts';
import { ensureCertificate } from './local-authority.ts';
import { MemberTls } from './member-tls.ts';
import { RefusalLog } from './refusal-log.ts';
import { Registrar } from './registrar.ts';
import { RegistryTokens } from './registry-tokens.ts';

const HOUR_MS = 3_600_000;

export interface DeskOptions {
  directory: string;
  authority: ClusterAuthority;
  registry: Registry;
  listen: ListenAddress;
  log(level: 'info' | 'warn', text: string): void;
}

/**
 * What a machine is to become: a storage node of a zone, once more the node that it is already (its certificate has ended, or
 * its address changes), or one that waits to run the database.
 */
export type TokenPurpose = 'standby' | { readonly zone: string } | { readonly ordinal: number };

export class Desk implements AsyncDisposable {
  /** Of a process that may ask any node. */
  readonly network: Network;
  readonly #options: DeskOptions;
  readonly #tokens: JoinTokens;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    options: DeskOptions,
    parts: { network: Network; tokens: JoinTokens; resources: AsyncDisposableStack },
  ) {
    this.#options = options;
    this.network = parts.network;
    this.#tokens = parts.tokens;
    this.#resources = parts.resources;
  }

  /** Serves when it resolves. @throws TRUST_JOIN_UNREACHABLE, TRANSPORT_ADDRESS_USED, TRANSPORT_LISTEN_FAILED, TRUST_FILE_* */
  static async open(options: DeskOptions): Promise<Desk> {
    const { directory, authority, registry, listen, log } = options;
    const resources = new AsyncDisposableStack();
    try {
      const file = dataPaths.certificate(directory, 'desk');
      await ensureCertificate(authority, { file, role: 'authority', id: 'desk', host: listen.host });
      const desk = deskAddress(listen);
      const tls = resources.use(
        MemberTls.open({ file, desk, renew: renewFrom(authority), acceptRoles: ['node', 'head'], log }),
      );
      const store = new RegistryTokens(registry);
      const isMember = async ({ role, id }: MemberIdentity) =>
        role === 'node' && (await listNodes(registry)).some(({ node }) => node === id);
      const tokens = new JoinTokens({ store, clock: systemClock, isMember });
      const registrar = new Registrar({
        registry,
        tokens: store,
        clock: systemClock,
        password: () =>
          translated(directory, () => fs.readFileSync(dataPaths.password(directory), 'utf8').trim()),
      });
      const refusals = new RefusalLog(systemClock, (text) => log('warn', text));
      const onRefused = (reason: CodedError) => refusals.add(reason);
      resources.use(await tls.network.listen(desk, deskHandler({ authority, registrar, onRefused })));
      resources.use(
        await listenForJoins({
          address: formatListen(listen),
          clock: systemClock,
          authority,
          tokens,
          identity: tls.keeper.identity,
          onJoined: ({ role, id, zone, peer }) =>
            log('info', `${role} ${id} joined zone ${zone} from ${peer}`),
          onRefused,
        }),
      );
      return new Desk(options, { network: tls.network, tokens, resources });
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** The text of a new token, which is kept nowhere. @throws ROKKA_NO_ZONE, ROKKA_NO_NODE, ROKKA_NODE_GONE, TRUST_TOKENS_FULL */
  async issueToken(what: TokenPurpose, hours: number): Promise<{ token: string; record: TokenRecord }> {
    const { authority, listen } = this.#options;
    const part = what === 'standby' ? { role: 'head' as const } : await this.#nodeToken(what);
    const addresses = [formatListen(listen)];
    return this.#tokens.issue({ authority, addresses, lifetimeMs: hours * HOUR_MS, ...part });
  }

  async #nodeToken(what: { readonly zone: string } | { readonly ordinal: number }) {
    const role = 'node' as const;
    if ('zone' in what) return { role, zone: zoneNamed(what.zone) };
    const known = (await listNodes(this.#options.registry)).find(({ ordinal }) => ordinal === what.ordinal);
    // Those of the first machine have no use for one.
    if (!known?.machine) throw rokkaErrors.ROKKA_NO_NODE([what.ordinal]);
    if (known.gone) throw rokkaErrors.ROKKA_NODE_GONE([what.ordinal]);
    return { role, zone: known.zone, memberId: known.node };
  }

  listTokens(): Promise<TokenRecord[]> {
    return this.#tokens.list();
  }

  /** @throws TRUST_TOKEN_UNKNOWN, TRUST_TOKEN_CONTENDED */
  revokeToken(tokenId: string): Promise<TokenRecord> {
    return this.#tokens.revoke(tokenId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** One listener for certificates and registrations: what is no registration is for the former. */
function deskHandler(options: {
  authority: ClusterAuthority;
  registrar: Registrar;
  onRefused(reason: CodedError): void;
}): (connection: Connection) => ConnectionHandler {
  const { authority, registrar, onRefused } = options;
  const renewal = renewals({ authority, mayRenew: (member) => registrar.mayRenew(member), onRefused });
  return (connection) => {
    const forCertificates = renewal(connection);
    let busy = false;
    return {
      onFrame(same, frame) {
        if (frame.type !== DESK.REGISTER) return forCertificates.onFrame(same, frame);
        // One at a time, as with certificates: nothing queues up here.
        if (busy) return same.close();
        busy = true;
        void register(same, frame, { registrar, onRefused }).finally(() => {
          busy = false;
        });
      },
      onClose: (same, reason) => forCertificates.onClose(same, reason),
    };
  };
}

async function register(
  connection: Connection,
  { requestId, body }: Frame,
  { registrar, onRefused }: { registrar: Registrar; onRefused(reason: CodedError): void },
): Promise<void> {
  const member = connection.peerIdentity;
  const said = decodeRegistration(body);
  if (!member || !said) return connection.close();
  try {
    const answer =
      member.role === 'head' ? registrar.admitHead(said) : await registrar.register(member, said);
    connection.send(DESK.REGISTERED, requestId, [encodeJson(answer)]);
  } catch (error) {
    if (!isCoded(error)) throw error;
    onRefused(error);
    const told = isForMember(error)
      ? error
      : rokkaErrors.ROKKA_DESK_BUSY([describeError(error).split(':')[0] ?? '']);
    connection.send(DESK.REFUSED, requestId, [encodeRefusal(told)]);
  }
}
