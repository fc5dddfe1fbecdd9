/**
 * The joining machine's side. It connects twice: once to see which authority answers, without sending or believing
 * anything, and once with that authority, pinned by the token, as the only one that OpenSSL accepts.
 */
import { sign } from 'node:crypto';
import { isIP } from 'node:net';
import * as tls from 'node:tls';
import { CodedError, deadline, Deferred, isCoded, type Clock } from '@rokka/kernel';
import {
  identityOfCertificate,
  identityUri,
  isIdentityPart,
  parseTlsAddress,
  type MemberIdentity,
  type TlsIdentity,
  shownTime,
} from '@rokka/transport';
import { CLOCK_SLACK_MS } from './authority.ts';
import { keyPin, makeKey, makeRequest } from './certificates.ts';
import { trustErrors } from './errors.ts';
import { checkIssued } from './issued.ts';
import {
  channelBinding,
  JOIN_ANSWER_BYTES_MAX,
  JOIN_VERSION,
  provenBytes,
  readLine,
  textOf,
  writeLine,
} from './join-conversation.ts';
import { decodeJoinToken, secretKey, type JoinToken } from './join-token.ts';

/** A chain has a certificate and its authority; what is longer is not ours. */
const CHAIN_MAX = 3;
const ERROR_CHARACTERS_MAX = 1000;

export interface JoinOptions {
  /** As it was issued. */
  token: string;
  /** Id of the member that this machine becomes. */
  id: string;
  /** Under which it will be reached: DNS names and IP addresses. */
  hosts: readonly string[];
  /** Zone that this machine believes to be in; a token for another one is refused. Default: whatever the token says. */
  zone?: string;
  /** Private key in PEM; by default a new one. With the same key an interrupted join can be repeated. */
  key?: string;
  clock: Clock;
  /** For each address; default 15 s. */
  timeoutMs?: number;
}

export interface Joined {
  readonly member: MemberIdentity;
  readonly zone: string;
  readonly identity: TlsIdentity;
}

/**
 * Makes this machine a member.
 *
 * @throws TRUST_TOKEN_*, TRUST_WRONG_PIN, TRUST_NOT_AUTHORITY, TRUST_CLOCK_OFF, TRUST_CLOCK_OUTSIDE, TRUST_JOIN_*,
 *   TRUST_BAD_NAME, TRUST_BAD_HOST, TRUST_ANSWER_UNUSABLE, TRANSPORT_BAD_ADDRESS
 */
export async function joinCluster(options: JoinOptions): Promise<Joined> {
  const { id, hosts, key = makeKey() } = options;
  const token = decodeJoinToken(options.token);
  if (!isIdentityPart(id)) throw trustErrors.TRUST_BAD_NAME(['id of a member', id]);
  const member = { cluster: token.cluster, role: token.role, id };
  const request = await makeRequest({ key, identity: member, hosts });
  let unreachable: unknown;
  for (const address of token.addresses) {
    try {
      return await new Attempt(address, { ...options, token, member, key, request }).run();
    } catch (error) {
      if (!isCoded(error, 'TRUST_JOIN_UNREACHABLE')) throw error;
      unreachable = error;
    }
  }
  throw unreachable;
}

interface AttemptOptions extends Omit<JoinOptions, 'token'> {
  token: JoinToken;
  member: MemberIdentity;
  key: string;
  request: string;
}

class Attempt {
  readonly #address: string;
  readonly #options: AttemptOptions;
  readonly #sockets: tls.TLSSocket[] = [];

  constructor(address: string, options: AttemptOptions) {
    this.#address = address;
    this.#options = options;
  }

  async run(): Promise<Joined> {
    const { clock, timeoutMs = 15_000 } = this.#options;
    try {
      return await deadline(this.#join(), { what: `joining at ${this.#address}`, ms: timeoutMs, clock });
    } catch (error) {
      if (!isCoded(error, 'KERNEL_DEADLINE')) throw error;
      throw trustErrors.TRUST_JOIN_UNREACHABLE([this.#address, `nothing came for ${timeoutMs} ms`], {
        cause: error,
      });
    } finally {
      for (const socket of this.#sockets) socket.destroy();
    }
  }

  async #join(): Promise<Joined> {
    const authority = await this.#look();
    const socket = await this.#connect({
      ca: authority,
      rejectUnauthorized: true,
      // It is known by its role, of which there is one in a cluster: it may be reached under any name.
      checkServerIdentity: () => undefined,
    });
    this.#checkRole(socket);
    return this.#converse(socket);
  }

  /** The authority that the token pins, if it is the one behind whoever answers. */
  async #look(): Promise<string> {
    const { token, clock } = this.#options;
    const socket = await this.#connect({ rejectUnauthorized: false });
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    let authority = certificate;
    for (let depth = 0; authority && depth < CHAIN_MAX; depth++) {
      if (authority.ca && token.pins.includes(keyPin(authority.publicKey))) break;
      authority = depth === CHAIN_MAX - 1 ? undefined : authority.issuerCertificate;
    }
    if (!certificate || !authority) throw trustErrors.TRUST_WRONG_PIN([this.#address]);
    const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    const nowMs = clock.wallMs();
    if (nowMs < from || nowMs >= to) {
      const times = `from ${shownTime(from)} to ${shownTime(to)}`;
      throw trustErrors.TRUST_CLOCK_OUTSIDE([this.#address, times, shownTime(nowMs)]);
    }
    return authority.toString();
  }

  #checkRole(socket: tls.TLSSocket): void {
    const { token } = this.#options;
    const certificate = socket.getPeerX509Certificate();
    if (!socket.authorized || !certificate) throw trustErrors.TRUST_WRONG_PIN([this.#address]);
    const peer = identityOfCertificate(certificate, this.#address);
    if (peer.cluster !== token.cluster || peer.role !== 'authority')
      throw trustErrors.TRUST_NOT_AUTHORITY([this.#address, identityUri(peer)]);
  }

  async #converse(socket: tls.TLSSocket): Promise<Joined> {
    const { token, member, key, request, clock, zone = '' } = this.#options;
    const from = { peer: this.#address, bytesMax: JOIN_ANSWER_BYTES_MAX };
    const binding = channelBinding(socket);
    this.#checkGreeting(await readLine(socket, from));
    const { tokenId } = token;
    const proven = provenBytes(binding, { tokenId, zone, request });
    const proof = sign(null, proven, secretKey(token.secret)).toString('base64url');
    const answered = readLine(socket, from);
    writeLine(socket, { tokenId, zone, request, proof });
    const answer = await answered;
    this.#throwRefusal(answer);
    const text = (name: string) => textOf(answer, name, { peer: this.#address, max: JOIN_ANSWER_BYTES_MAX });
    const issued = { certificate: text('certificate'), authorities: text('authorities') };
    checkIssued(issued, { key, member, nowMs: clock.wallMs(), from: this.#address });
    return { member, zone: text('zone'), identity: { ...issued, key } };
  }

  #checkGreeting(line: Record<string, unknown>): void {
    const { timeMs, version } = line;
    if (line['rokka'] !== 'join' || typeof timeMs !== 'number' || !Number.isSafeInteger(timeMs))
      throw trustErrors.TRUST_JOIN_BROKEN([this.#address, 'it does not greet as a place to join']);
    if (version !== JOIN_VERSION)
      throw trustErrors.TRUST_JOIN_BROKEN([
        this.#address,
        `it speaks version ${String(version)}, this program ${JOIN_VERSION}: run the same release on both`,
      ]);
    const nowMs = this.#options.clock.wallMs();
    // Found out before the token is spent: the certificate would not be valid here.
    if (Math.abs(timeMs - nowMs) > CLOCK_SLACK_MS)
      throw trustErrors.TRUST_CLOCK_OFF([this.#address, shownTime(timeMs), shownTime(nowMs)]);
  }

  #throwRefusal(answer: Record<string, unknown>): void {
    const { error } = answer;
    if (typeof error !== 'object' || error === null) return;
    const of = { peer: this.#address, max: ERROR_CHARACTERS_MAX };
    const told = error as Record<string, unknown>;
    const code = textOf(told, 'code', of);
    if (!/^TRUST_[A-Z_]+$/.test(code))
      throw trustErrors.TRUST_JOIN_BROKEN([this.#address, 'it refused without a reason']);
    throw new CodedError(code, textOf(told, 'message', of));
  }

  /** @throws TRUST_JOIN_UNREACHABLE, TRUST_WRONG_PIN where the certificate does not hold */
  async #connect(options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
    const { host, port } = parseTlsAddress(this.#address);
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = tls.connect({ host, port, minVersion: 'TLSv1.3', ...servername, ...options });
    this.#sockets.push(socket);
    const secure = new Deferred<void>();
    const unreachable = (why: string, cause?: unknown) =>
      trustErrors.TRUST_JOIN_UNREACHABLE([this.#address, why], { cause });
    socket.once('secureConnect', () => secure.resolve());
    socket.on('error', (error: NodeJS.ErrnoException) =>
      secure.reject(unreachable(error.code ?? error.message, error)),
    );
    socket.once('close', () => secure.reject(unreachable('it closed the connection')));
    try {
      await secure.promise;
    } catch (error) {
      // Set where the chain was looked at and did not hold.
      if (options.ca && socket.authorizationError)
        throw trustErrors.TRUST_WRONG_PIN([this.#address], { cause: error });
      throw error;
    }
    return socket;
  }
}
