/**
 * The beginning of a connection: start-up packets and the password, up to the point where a session may exist. Pure: takes
 * packets and says what to send and what has been decided. Nothing of an unauthenticated client reaches the engine.
 */
import type { Random } from '@rokka/kernel';
import { SCRAM_MECHANISM, ScramServer, type ScramVerifier } from './wire-scram.ts';
import {
  CANCEL_REQUEST,
  FromBackend,
  GSSENC_REQUEST,
  HEADER_BYTES,
  int32,
  message,
  PROTOCOL_3_0,
  SSL_REQUEST,
  stringEnd,
  zeroTerminated,
  type WireError,
} from './wire-messages.ts';

const AUTHENTICATION_OK = 0;
const AUTHENTICATION_SASL = 10;
const AUTHENTICATION_SASL_CONTINUE = 11;
const AUTHENTICATION_SASL_FINAL = 12;
const PROTOCOL_MAJOR = 3;
/** A client may ask for encryption once of each kind before it goes on in the clear. */
const ENCRYPTION_REQUESTS_MAX = 2;

export type LoginStep =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'cancel'; readonly id: number; readonly secret: number }
  | { readonly kind: 'refuse'; readonly error: WireError }
  | { readonly kind: 'garbage'; readonly why: string }
  | { readonly kind: 'open'; readonly bytes: Buffer; readonly settings: Map<string, string> };

export interface LoginOptions {
  readonly user: string;
  readonly database: string;
  readonly verifier: ScramVerifier;
  /** Where the client is this very process. */
  readonly trusted: boolean;
  readonly random: Random;
}

export class Login {
  readonly #options: LoginOptions;
  #encryptionRequests = 0;
  #parameters: Map<string, string> | undefined;
  #notices: Buffer = Buffer.alloc(0);
  #scram: ScramServer | undefined;
  #proven: 'nothing' | 'first' = 'nothing';

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** Whether the next packet is a start-up packet, without a type byte. */
  get expectsStartup(): boolean {
    return this.#parameters === undefined;
  }

  startup(packet: Buffer): LoginStep {
    const code = packet.readUInt32BE(4);
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
      if (++this.#encryptionRequests > ENCRYPTION_REQUESTS_MAX)
        return { kind: 'garbage', why: 'it asks for encryption over and over' };
      return { kind: 'send', bytes: Buffer.from('N') };
    }
    if (code === CANCEL_REQUEST && packet.length >= 16)
      return { kind: 'cancel', id: packet.readInt32BE(8), secret: packet.readInt32BE(12) };
    if (code >>> 16 !== PROTOCOL_MAJOR)
      return { kind: 'garbage', why: `protocol ${code >>> 16}.${code & 0xffff} in its start-up packet` };
    const parameters = readParameters(packet);
    if (!parameters) return { kind: 'garbage', why: 'its start-up packet ends in the middle' };
    this.#parameters = parameters;
    this.#notices = negotiation(code, parameters);
    return this.#options.trusted ? this.#decide() : this.#askForPassword();
  }

  password(packet: Buffer): LoginStep {
    const scram = this.#scram;
    if (!scram) return { kind: 'garbage', why: 'a password that nobody asked for' };
    if (this.#proven === 'nothing') {
      const first = readSaslInitial(packet);
      const answer = first === undefined ? undefined : scram.first(first);
      if (answer === undefined) return this.#wrongPassword();
      this.#proven = 'first';
      return { kind: 'send', bytes: authentication(AUTHENTICATION_SASL_CONTINUE, Buffer.from(answer)) };
    }
    this.#scram = undefined;
    const answer = scram.final(packet.toString('latin1', HEADER_BYTES));
    if (answer === undefined || this.#parameter('user') !== this.#options.user) return this.#wrongPassword();
    return this.#decide(authentication(AUTHENTICATION_SASL_FINAL, Buffer.from(answer)));
  }

  #askForPassword(): LoginStep {
    const { verifier, random } = this.#options;
    this.#scram = new ScramServer(verifier, random);
    const asked = authentication(AUTHENTICATION_SASL, Buffer.from(`${SCRAM_MECHANISM}\0\0`));
    return { kind: 'send', bytes: Buffer.concat([this.#notices, asked]) };
  }

  /** After the proof, since only who may come in is told what there is. */
  #decide(proof: Buffer = this.#notices): LoginStep {
    const user = this.#parameter('user');
    const database = this.#parameter('database') ?? user;
    if (user !== this.#options.user) return this.#wrongPassword();
    if (database !== this.#options.database)
      return refusal('3D000', `database "${database}" does not exist`, {
        hint: `The embedded engine serves one database: "${this.#options.database}".`,
      });
    if (this.#parameter('replication') !== undefined && this.#parameter('replication') !== 'false')
      return refusal('0A000', 'replication connections are not available with the embedded engine');
    const settings = settingsOf(this.#parameters ?? new Map());
    if (!settings)
      return refusal('22023', 'options of the start-up packet are not understood', {
        hint: 'Write them as -c name=value.',
      });
    const ok = authentication(AUTHENTICATION_OK);
    return { kind: 'open', bytes: Buffer.concat([proof, ok]), settings };
  }

  #wrongPassword(): LoginStep {
    return refusal('28P01', `password authentication failed for user "${this.#parameter('user') ?? ''}"`);
  }

  #parameter(name: string): string | undefined {
    return this.#parameters?.get(name);
  }
}

function authentication(code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  return message(FromBackend.authentication, int32(code), body);
}

function refusal(sqlState: string, message: string, more: { hint?: string } = {}): LoginStep {
  return { kind: 'refuse', error: { severity: 'FATAL', sqlState, message, ...more } };
}

/** A newer minor version, or options of one: says that it will be 3.0 without them. */
function negotiation(code: number, parameters: ReadonlyMap<string, string>): Buffer {
  const unknown = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  if (code === PROTOCOL_3_0 && unknown.length === 0) return Buffer.alloc(0);
  const names = unknown.map((name) => zeroTerminated(name));
  return message(FromBackend.protocolVersion, int32(PROTOCOL_3_0), int32(unknown.length), ...names);
}

function readParameters(packet: Buffer): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  let at = 8;
  while (at < packet.length && packet[at] !== 0) {
    const nameEnd = stringEnd(packet, at);
    const valueEnd = nameEnd < 0 ? -1 : stringEnd(packet, nameEnd + 1);
    if (valueEnd < 0) return undefined;
    parameters.set(packet.toString('utf8', at, nameEnd), packet.toString('utf8', nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  return at < packet.length ? parameters : undefined;
}

/** SASLInitialResponse: mechanism, then a counted client-first-message. */
function readSaslInitial(packet: Buffer): string | undefined {
  const end = stringEnd(packet, HEADER_BYTES);
  if (end < 0 || packet.toString('latin1', HEADER_BYTES, end) !== SCRAM_MECHANISM) return undefined;
  if (end + 5 > packet.length || packet.readInt32BE(end + 1) !== packet.length - end - 5) return undefined;
  return packet.toString('latin1', end + 5);
}

const NOT_SETTINGS = new Set(['user', 'database', 'replication', 'options']);

/** Settings that came as parameters of their own or as `-c name=value` in `options`; undefined where these are wrong. */
function settingsOf(parameters: ReadonlyMap<string, string>): Map<string, string> | undefined {
  const settings = new Map<string, string>();
  for (const [name, value] of parameters)
    if (!NOT_SETTINGS.has(name) && !name.startsWith('_pq_.')) settings.set(name, value);
  // A backslash keeps a space from ending an option.
  const words = (parameters.get('options') ?? '').match(/(?:\\.|[^\s\\])+/gs) ?? [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at].replaceAll(/\\(.)/gs, '$1');
    const text =
      word === '-c' ? words[++at]?.replaceAll(/\\(.)/gs, '$1') : /^(?:-c|--)(.+)$/s.exec(word)?.[1];
    const parts = /^([^=]+)=(.*)$/s.exec(text ?? '');
    if (!parts) return undefined;
    settings.set(parts[1].replaceAll('-', '_'), parts[2]);
  }
  // What every driver sends and what is the only choice anyway is not worth a turn.
  const encoding = settings.get('client_encoding');
  if (encoding !== undefined && /^'?utf-?8'?$/i.test(encoding)) settings.delete('client_encoding');
  return settings;
}
