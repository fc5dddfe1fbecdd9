/**
 * What the machine that made the cluster does for the others: lets machines join with tokens, registers them, renews
 * certificates. It runs in the supervisor, which has the cluster's authority; nothing of it is on the way of a commit, and
 * the cluster goes on while it is away.
 */
import * as fs from 'node:fs';
import { describeError, isCoded, systemClock, systemRandom, type CodedError } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import {
  type Connection,
  type ConnectionHandler,
  type Frame,
  identityUri,
  type MemberIdentity,
  type Network,
  type PeerIdentity,
  placementOf,
} from '@rokka/transport';
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
import { archiveStore } from '../databases/archive-store.ts';
import { openDatabases } from '../databases/cluster-databases.ts';
import { rokkaErrors } from '../errors.ts';
import {
  decodeAnswer,
  decodeRegistration,
  DESK,
  encodeJson,
  encodeRefusal,
  isForMember,
} from './desk-messages.ts';
import { HeadDesk } from './heads/head-desk.ts';
import { PlacedHeads } from './heads/placed-heads.ts';
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
  /** Heads on the machines that are here. */
  readonly placed: PlacedHeads;
  readonly #options: DeskOptions;
  readonly #tokens: JoinTokens;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    options: DeskOptions,
    parts: {
      network: Network;
      placed: PlacedHeads;
      tokens: JoinTokens;
      resources: AsyncDisposableStack;
    },
  ) {
    this.#options = options;
    this.network = parts.network;
    this.placed = parts.placed;
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
      const headDesk = new HeadDesk({
        registry,
        databases: openDatabases({ directory, registry }),
        store: archiveStore(directory),
        authority,
        onRefused,
      });
      const placed = resources.use(new PlacedHeads({ clock: systemClock, random: systemRandom, log }));
      placed.isPlaced = (volume, machine) => headDesk.isPlaced({ volume, machine });
      const handler = deskHandler({ authority, registrar, headDesk, placed, onRefused });
      resources.use(await tls.network.listen(desk, handler));
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
      return new Desk(options, { network: tls.network, placed, tokens, resources });
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

interface DeskParts {
  readonly authority: ClusterAuthority;
  readonly registrar: Registrar;
  readonly headDesk: HeadDesk;
  readonly placed: PlacedHeads;
  onRefused(reason: CodedError): void;
}

/** One listener for all that members ask for: what is nothing of the desk's is for certificates. */
function deskHandler(of: DeskParts): (connection: Connection) => ConnectionHandler {
  const { authority, registrar, headDesk, placed, onRefused } = of;
  const mayRenew = async (member: PeerIdentity) => {
    const placement = placementOf(member);
    return (!placement || (await headDesk.isPlaced(placement))) && registrar.mayRenew(member);
  };
  const renewal = renewals({ authority, mayRenew, onRefused });
  return (connection) => {
    const forCertificates = renewal(connection);
    const forHead = headDesk.session();
    const { peerIdentity: member } = connection;
    const machine = member?.role === 'node' ? member.id : undefined;
    let busy = false;
    return {
      onFrame(same, frame) {
        const { type } = frame;
        if (type === DESK.CALL) return forHead(same, frame);
        if ((type === DESK.HEADS || type === DESK.ASKED) && machine !== undefined)
          return placed.onFrame(machine, same, frame);
        if (type !== DESK.REGISTER && type !== DESK.CERTIFY) return forCertificates.onFrame(same, frame);
        // One at a time, as with certificates: nothing queues up here.
        if (busy) return same.close();
        busy = true;
        void admit(same, frame, of).finally(() => {
          busy = false;
        });
      },
      onClose(same, reason) {
        if (machine !== undefined) placed.onClose(machine, same);
        forCertificates.onClose(same, reason);
      },
    };
  };
}

async function admit(connection: Connection, frame: Frame, of: DeskParts): Promise<void> {
  const { type, requestId } = frame;
  try {
    const answer = await (type === DESK.CERTIFY
      ? certify(connection, frame, of)
      : register(connection, frame, of));
    if (!answer) return connection.close();
    connection.send(type === DESK.CERTIFY ? DESK.CERTIFIED : DESK.REGISTERED, requestId, [
      encodeJson(answer),
    ]);
  } catch (error) {
    if (!isCoded(error)) throw error;
    of.onRefused(error);
    const told = isForMember(error)
      ? error
      : rokkaErrors.ROKKA_DESK_BUSY([describeError(error).split(':')[0] ?? '']);
    connection.send(DESK.REFUSED, requestId, [encodeRefusal(told)]);
  }
}

/** Undefined for what is no registration. */
async function register(
  { peerIdentity: member }: Connection,
  { body }: Frame,
  { registrar }: DeskParts,
): Promise<object | undefined> {
  const said = decodeRegistration(body);
  if (!member || !said) return undefined;
  // A head that may have one volume alone has nothing to do with the database, nor with its password.
  if (placementOf(member)) throw rokkaErrors.ROKKA_MEMBER_UNKNOWN([identityUri(member)]);
  return member.role === 'head' ? registrar.admitHead(said) : registrar.register(member, said);
}

/** Undefined for what asks for no certificate, or comes from no machine. */
async function certify(
  { peerIdentity: member }: Connection,
  { body }: Frame,
  { headDesk, registrar }: DeskParts,
): Promise<object | undefined> {
  const request = decodeAnswer(body)?.['request'];
  if (member?.role !== 'node' || typeof request !== 'string') return undefined;
  if (!(await registrar.mayRenew(member))) throw rokkaErrors.ROKKA_MEMBER_UNKNOWN([identityUri(member)]);
  return headDesk.certify(member, request);
}
