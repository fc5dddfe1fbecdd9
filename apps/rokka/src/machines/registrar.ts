/**
 * Keeps the registry's records of the nodes of other machines: whom a token let in becomes a node of the token's zone, and
 * where it listens is what it said last.
 *
 * One identity is one process. A machine registers again and again with a word that it drew at its start; a second process,
 * started on a copy of the first one's data, has another word and another address, and is refused as long as the first one
 * is heard. At the same address there cannot be two: whoever listens there now has outlived the other one.
 */
import { isCoded, type Clock } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { identityUri, normalHost, parseTlsAddress, type PeerIdentity } from '@rokka/transport';
import type { TokenStore } from '@rokka/trust';
import { addJoinedNode, changeNode, listNodes, type NodeRecord } from '../cluster.ts';
import { rokkaErrors } from '../errors.ts';
import { recordedAddress } from './cluster-network.ts';
import {
  type HeadAdmission,
  PROTOCOL,
  REGISTER_EVERY_MS,
  type Registered,
  type Registration,
} from './desk-messages.ts';

/** A process that was not heard for so long has ended, or is cut off: another one may take its place. */
export const SILENT_MS = 4 * REGISTER_EVERY_MS;
const ATTEMPTS_MAX = 5;

export interface RegistrarOptions {
  registry: Registry;
  tokens: TokenStore;
  clock: Clock;
  /** Of the database, for machines that may have to run it. */
  password(): string;
}

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #heard = new Map<string, { instance: string; address: string; atMs: number }>();

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /**
   * Takes note of a member that is there.
   * @throws ROKKA_PROTOCOL_OTHER, ROKKA_HOST_CHANGED, ROKKA_NODE_REMOVED, ROKKA_NODE_TWICE, ROKKA_MEMBER_UNKNOWN,
   *   ROKKA_NO_ZONE, TRANSPORT_BAD_ADDRESS, what the registry throws
   */
  async register(member: PeerIdentity, said: Registration): Promise<Registered> {
    if (said.protocol !== PROTOCOL) throw rokkaErrors.ROKKA_PROTOCOL_OTHER([said.protocol, PROTOCOL]);
    const { host } = parseTlsAddress(said.address);
    if (!member.hosts.includes(normalHost(host)))
      throw rokkaErrors.ROKKA_HOST_CHANGED([host, member.hosts.join(', ')]);
    for (let attempt = 1; ; attempt++) {
      try {
        const { ordinal, zone, leaving = false } = await this.#record(member, said);
        return { ordinal, zone, leaving };
      } catch (error) {
        if (!isCoded(error, 'REGISTRY_CONFLICT') || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** What a machine needs beside its certificate to run the database. @throws ROKKA_PROTOCOL_OTHER */
  admitHead({ protocol }: Registration): HeadAdmission {
    if (protocol !== PROTOCOL) throw rokkaErrors.ROKKA_PROTOCOL_OTHER([protocol, PROTOCOL]);
    return { password: this.#options.password() };
  }

  /** Whether a member may have a new certificate. */
  async mayRenew({ id }: PeerIdentity): Promise<boolean> {
    const nodes = await listNodes(this.#options.registry);
    return !nodes.some(({ node, gone }) => node === id && gone);
  }

  async #record(member: PeerIdentity, said: Registration): Promise<NodeRecord> {
    const { registry } = this.#options;
    const nodes = await listNodes(registry);
    const known = nodes.find(({ node }) => node === member.id);
    const address = recordedAddress(said.address);
    // What the first machine runs itself registers nowhere.
    if (known && known.machine !== member.id) throw rokkaErrors.ROKKA_MEMBER_UNKNOWN([identityUri(member)]);
    if (known?.gone) throw rokkaErrors.ROKKA_NODE_REMOVED([known.ordinal]);
    this.#listen(member.id, said, known?.ordinal ?? 0);
    if (!known) {
      const zone = await this.#zoneOf(member);
      return addJoinedNode(registry, { id: member.id, zone, address, known: nodes });
    }
    return known.address === address ? known : changeNode(registry, known.ordinal, { address });
  }

  #listen(id: string, { instance, address }: Registration, ordinal: number): void {
    const nowMs = this.#options.clock.nowMs();
    const last = this.#heard.get(id);
    const another = last && last.instance !== instance && last.address !== address;
    if (another && nowMs - last.atMs < SILENT_MS) throw rokkaErrors.ROKKA_NODE_TWICE([ordinal, last.address]);
    this.#heard.set(id, { instance, address, atMs: nowMs });
  }

  async #zoneOf(member: PeerIdentity): Promise<string> {
    const tokens = await this.#options.tokens.list();
    const used = tokens.find(({ record }) => record.usedBy?.id === member.id && record.role === member.role);
    if (!used) throw rokkaErrors.ROKKA_MEMBER_UNKNOWN([identityUri(member)]);
    return used.record.zone;
  }
}
