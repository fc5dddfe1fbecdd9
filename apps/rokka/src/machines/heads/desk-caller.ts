/** How a head on a joined machine reaches the registry and the archive: by the desk, as the head of its own volume. */
import type { ObjectStore, StoredObject } from '@rokka/archive';
import { type Clock, CodedError, isCoded } from '@rokka/kernel';
import type { Registry, RegistryEntry } from '@rokka/registry';
import { Caller, identityUri, type Network } from '@rokka/transport';
import { rokkaErrors } from '../../errors.ts';
import { decodeAnswer, DESK } from '../desk-messages.ts';
import { bytesBehind, encodeCall, type HeadCall, PIECE_BYTES_MAX } from './head-calls.ts';

const CONNECT_MS = 5_000;
/** More than the registry's patience, and than a piece of an object takes on a slow link. */
const ANSWER_MS = 20_000;

interface DeskAnswer {
  readonly said: Record<string, unknown>;
  readonly bytes: Uint8Array;
}

/** What the desk answers where it does not do what it was asked: as it says it. */
class Refused extends CodedError {}

/** Calls on one connection, which is made when it is needed, and anew after it has ended. */
export class DeskCaller implements Disposable {
  readonly #network: Network;
  readonly #desk: string;
  readonly #clock: Clock;
  #caller: Promise<Caller> | undefined;
  #closed = false;

  constructor(of: { network: Network; desk: string; clock: Clock }) {
    this.#network = of.network;
    this.#desk = of.desk;
    this.#clock = of.clock;
  }

  /**
   * @param onSending what fails after it may have been carried out
   * @throws what the desk refuses with, what `Network.connect` and `Caller.call` throw, ROKKA_DESK_BAD_ANSWER
   */
  async call(
    call: HeadCall,
    bytes: readonly Uint8Array[] = [],
    onSending: () => void = () => {},
  ): Promise<DeskAnswer> {
    if (this.#closed) throw rokkaErrors.ROKKA_STOPPED(['what asks the desk']);
    const caller = await this.#connected();
    onSending();
    const { type, body } = await caller.call(DESK.CALL, encodeCall(call, bytes), { timeoutMs: ANSWER_MS });
    const said = decodeAnswer(body);
    if (type === DESK.REFUSED && said)
      throw new Refused(
        String(said['code']),
        String(said['message']),
        said['detail'] as Record<string, unknown> | undefined,
      );
    if (type !== DESK.ANSWERED || !said)
      throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([this.#desk, `message type ${type} came`]);
    return { said, bytes: bytesBehind(body) };
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    void this.#caller?.then(({ connection }) => connection.close()).catch(() => {});
  }

  #connected(): Promise<Caller> {
    this.#caller ??= this.#connect().catch((error: unknown) => {
      this.#caller = undefined;
      throw error;
    });
    return this.#caller;
  }

  async #connect(): Promise<Caller> {
    const caller = await Caller.connect(this.#network, this.#desk, {
      clock: this.#clock,
      timeoutMs: CONNECT_MS,
      rest: { onClose: () => (this.#caller = undefined) },
    });
    const { connection } = caller;
    const { peerIdentity: peer } = connection;
    if (peer?.role === 'authority' && !this.#closed) return caller;
    connection.close();
    const seen = peer ? identityUri(peer) : 'somebody unknown';
    throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([
      this.#desk,
      `${seen} answers there, not the cluster's authority`,
    ]);
  }
}

/**
 * The registry as far as the head of one volume needs it. It removes nothing. Where the desk says nothing, the registry is
 * unavailable; and a change that may have reached it is in doubt, as `Registry.put` has it.
 */
export function deskRegistry(desk: DeskCaller): Registry {
  const ask = async (call: HeadCall) => {
    let isSent = false;
    try {
      return (await desk.call(call, [], () => (isSent = true))).said;
    } catch (error) {
      if (!isCoded(error) || error instanceof Refused) throw error;
      throw unavailable(error, isSent && call.what === 'registry-put');
    }
  };
  return {
    get: async <T>(key: string) =>
      (await ask({ what: 'registry-get', key }))['entry'] as RegistryEntry<T> | undefined,
    list: async <T>(prefix: string) =>
      (await ask({ what: 'registry-list', prefix }))['entries'] as RegistryEntry<T>[],
    put: async (key, value, expected) =>
      Number((await ask({ what: 'registry-put', key, value, expected }))['revision']),
    remove: (key) => Promise.reject(rokkaErrors.ROKKA_HEAD_NOT_ALLOWED([key, 'registry-remove'])),
    [Symbol.asyncDispose]: async () => desk[Symbol.dispose](),
  };
}

function unavailable(error: CodedError, inDoubt: boolean): CodedError {
  const doubt = inDoubt ? '; whether the last change took effect is unknown until it is read again' : '';
  const message = `no answer of the registry by the desk: ${error.code}: ${error.message}${doubt}`;
  return new CodedError('REGISTRY_UNAVAILABLE', message, { inDoubt }, error);
}

/** The archive likewise. Where the desk is away, so is the store: whoever writes to it tries again. */
export function deskStore(desk: DeskCaller): ObjectStore {
  const ask = async (what: string, call: HeadCall, bytes?: readonly Uint8Array[]) => {
    try {
      return await desk.call(call, bytes);
    } catch (error) {
      if (!isCoded(error) || error.code.startsWith('ARCHIVE_')) throw error;
      const why = `${error.code}: ${error.message}`;
      throw new CodedError('ARCHIVE_STORE_FAILED', `the desk cannot ${what}: ${why}`, { why }, error);
    }
  };
  return {
    async put(key, parts) {
      const whole = Buffer.concat(parts);
      const total = whole.length;
      for (let at = 0; at === 0 || at < total; at += PIECE_BYTES_MAX)
        await ask(`write ${key}`, { what: 'store-put', key, at, total }, [
          whole.subarray(at, Math.min(total, at + PIECE_BYTES_MAX)),
        ]);
    },
    async read(key, from, lengthBytes) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < lengthBytes; at += PIECE_BYTES_MAX) {
        const length = Math.min(PIECE_BYTES_MAX, lengthBytes - at);
        pieces.push((await ask(`read ${key}`, { what: 'store-read', key, at: from + at, length })).bytes);
      }
      return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
    },
    list: async (prefix) =>
      (await ask(`list ${prefix}`, { what: 'store-list', prefix })).said['objects'] as StoredObject[],
    remove: (key) => Promise.reject(rokkaErrors.ROKKA_HEAD_NOT_ALLOWED([key, 'store-remove'])),
  };
}
