/**
 * The desk's part of a head on a joined machine: carries out what it asks for, as far as its volume is placed on its machine at that
 * moment. Whoever lost the volume gets nothing more from here, and whoever has it gets nothing of another.
 */
import { type ObjectStore, readDescriptor } from '@rokka/archive';
import { type DatabaseRecord, type Databases } from '@rokka/databases';
import { CodedError, isCoded, unreachable, type VolumeId } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { type Connection, type Frame, type HeadPlacement, placementOf } from '@rokka/transport';
import { type ClusterAuthority, type Issued, readRequest } from '@rokka/trust';
import { rokkaErrors } from '../../errors.ts';
import { DESK, encodeJson } from '../desk-messages.ts';
import { decodeCall, encodeCall, type HeadCall, rightsTo } from './head-calls.ts';

/** An archive that is read asks for 64 pieces at once, and the head itself for a few things. */
const CALLS_AT_ONCE_MAX = 128;
/** Of what a volume was made from, down to the first: more than anybody clones clones. */
const LINEAGE_MAX = 64;

export interface HeadDeskOptions {
  readonly registry: Registry;
  readonly databases: Pick<Databases, 'get'>;
  readonly store: ObjectStore;
  readonly authority: ClusterAuthority;
  onRefused(reason: CodedError): void;
}

/** An object that comes in pieces. */
interface Upload {
  readonly key: string;
  readonly parts: Uint8Array[];
  bytes: number;
}

interface Asker {
  readonly placement: HeadPlacement;
  /** One at a time, as an archiver writes. */
  upload: Upload | undefined;
}

export class HeadDesk {
  readonly #options: HeadDeskOptions;

  constructor(options: HeadDeskOptions) {
    this.#options = options;
  }

  /** What one connection asks for; ends it where that is nothing that a head asks. */
  session(): (connection: Connection, frame: Frame) => void {
    let inFlight = 0;
    let asker: Asker | undefined;
    return (connection, { requestId, body }) => {
      const placement = connection.peerIdentity && placementOf(connection.peerIdentity);
      const asked = decodeCall(body);
      if (!placement || !asked || inFlight >= CALLS_AT_ONCE_MAX) return connection.close();
      asker ??= { placement, upload: undefined };
      inFlight++;
      const { call } = asked;
      // The body lasts for this turn alone.
      const bytes = call.what === 'store-put' ? Uint8Array.from(asked.bytes) : asked.bytes;
      void this.#answer(asker, call, bytes).then((parts) => {
        inFlight--;
        if (!parts) return connection.close();
        const { type, body: answer } = parts;
        if (!connection.send(type, requestId, answer)) connection.close();
      });
    };
  }

  /**
   * A certificate for the head of a volume that is placed on the machine that asks.
   * @throws ROKKA_NOT_PLACED, ROKKA_MEMBER_UNKNOWN, TRUST_BAD_REQUEST, TRUST_AUTHORITY_ENDED, what the registry throws
   */
  async certify(machine: { id: string; hosts: readonly string[] }, text: string): Promise<Issued> {
    const request = await readRequest(text);
    const placement = placementOf(request.identity);
    const isOwn =
      placement?.machine === machine.id && request.hosts.every((host) => machine.hosts.includes(host));
    if (!isOwn) throw rokkaErrors.ROKKA_MEMBER_UNKNOWN([request.identity.id]);
    await this.demandPlaced(placement);
    return this.#options.authority.sign(request);
  }

  /** @throws what the registry throws */
  async isPlaced(placement: HeadPlacement): Promise<boolean> {
    try {
      await this.demandPlaced(placement);
      return true;
    } catch (error) {
      if (!isCoded(error, 'ROKKA_NOT_PLACED')) throw error;
      return false;
    }
  }

  /** @throws ROKKA_NOT_PLACED, what the registry throws */
  async demandPlaced({ volume, machine }: HeadPlacement): Promise<DatabaseRecord> {
    const record = await this.#options.databases.get(volume).catch((error: unknown) => {
      if (!isCoded(error, 'DATABASE_NONE')) throw error;
      return undefined;
    });
    if (record?.files?.machine === machine && record.desired !== 'deleted') return record;
    throw rokkaErrors.ROKKA_NOT_PLACED([volume, machine]);
  }

  /** Undefined where nothing can be answered. */
  async #answer(
    asker: Asker,
    call: HeadCall,
    bytes: Uint8Array,
  ): Promise<{ type: number; body: Uint8Array[] } | undefined> {
    try {
      const record = await this.demandPlaced(asker.placement);
      await this.#demandRight(call, record);
      const { said, behind = [] } = await this.#carryOut(asker, call, bytes);
      return { type: DESK.ANSWERED, body: encodeCall(said, behind) };
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (error.code === 'REGISTRY_CLOSED') return undefined;
      if (error.code === 'ROKKA_NOT_PLACED') this.#options.onRefused(error);
      const { code, message, detail } = error;
      return { type: DESK.REFUSED, body: [encodeJson({ code, message, detail })] };
    }
  }

  async #demandRight(call: HeadCall, record: DatabaseRecord): Promise<void> {
    const rights = rightsTo(call, record.volumeId);
    const allowed =
      rights === 'yes' || (typeof rights === 'object' && (await this.#isMadeFrom(record, rights.ifMadeFrom)));
    if (!allowed) throw rokkaErrors.ROKKA_HEAD_NOT_ALLOWED([record.volumeId, call.what]);
  }

  async #isMadeFrom({ source }: DatabaseRecord, archive: string): Promise<boolean> {
    let ancestor: VolumeId | undefined = source?.archive;
    for (let depth = 0; ancestor !== undefined && depth < LINEAGE_MAX; depth++) {
      if (ancestor === archive) return true;
      ancestor = (await readDescriptor(this.#options.store, ancestor))?.base?.volume;
    }
    return false;
  }

  async #carryOut(
    asker: Asker,
    call: HeadCall,
    bytes: Uint8Array,
  ): Promise<{ said: unknown; behind?: Uint8Array[] }> {
    const { registry, store } = this.#options;
    switch (call.what) {
      case 'registry-get':
        return { said: { entry: await registry.get(call.key) } };
      case 'registry-list':
        return { said: { entries: await registry.list(call.prefix) } };
      case 'registry-put':
        return { said: { revision: await registry.put(call.key, call.value, call.expected) } };
      case 'store-list':
        return { said: { objects: await store.list(call.prefix) } };
      case 'store-read':
        return { said: {}, behind: [await store.read(call.key, call.at, call.length)] };
      case 'store-put':
        await this.#take(asker, call, bytes);
        return { said: {} };
      default:
        return unreachable(call);
    }
  }

  async #take(
    asker: Asker,
    { key, at, total }: Extract<HeadCall, { what: 'store-put' }>,
    bytes: Uint8Array,
  ): Promise<void> {
    if (at === 0) asker.upload = { key, parts: [], bytes: 0 };
    const { upload } = asker;
    if (!upload || upload.key !== key || upload.bytes !== at || at + bytes.length > total) {
      asker.upload = undefined;
      throw new CodedError('ARCHIVE_STORE_FAILED', `pieces of ${key} have come out of their order`);
    }
    upload.parts.push(bytes);
    upload.bytes += bytes.length;
    if (upload.bytes < total) return;
    asker.upload = undefined;
    await this.#options.store.put(key, upload.parts);
  }
}
