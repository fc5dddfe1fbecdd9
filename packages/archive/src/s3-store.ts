/**
 * Objects in a bucket, at AWS or whatever speaks S3.
 *
 * Fault model: any request may fail, be answered late, never, or in part. Each attempt has a deadline, there are ATTEMPTS_MAX of them,
 * and all together have a deadline, too. An object is one PUT, so it is there whole or not at all, and what was answered is durable.
 *
 * Integrity: each PUT carries the SHA-256 of its body in what is signed, which every endpoint that checks signatures compares, and the
 * CRC-32 that AWS keeps with the object. For an endpoint that takes offence at the latter it is left out with the SDK's own variable,
 * AWS_REQUEST_CHECKSUM_CALCULATION=WHEN_REQUIRED. Content-MD5 would add nothing to the SHA-256. What is read is a part of an object, for
 * which S3 has no checksum; so its place and length are compared here, and its content by the checksums that items of layers have.
 *
 * The SDK is loaded when the first object is asked for: those whose archive is a directory never pay for it.
 */
import type * as S3 from '@aws-sdk/client-s3';
import { type Clock, isCoded } from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import { inOrder, type ObjectStore, type StoredObject } from './object-store.ts';
import { describeFailure, type S3Location } from './s3-failure.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of keys that are lent for a while. */
  readonly sessionToken?: string;
}

export interface S3StoreOptions extends S3Location {
  /** Asked before the first request, and again every few minutes: keys may change meanwhile. Throws coded errors, which are passed on. */
  credentials(): Promise<S3Credentials>;
  clock: Clock;
  /** For an attempt; one that sends much has more, by BYTES_PER_MS_MIN. */
  timeoutMs?: number;
}

/** A client, and what goes with each request. */
interface Session {
  readonly sdk: typeof S3;
  readonly client: S3.S3Client;
  readonly http: { readonly abortSignal: AbortSignal; readonly requestTimeout: number };
}

const TIMEOUT_MS = 15_000;
const CONNECT_MS_MAX = 5_000;
const ATTEMPTS_MAX = 3;
/** A line that is slower than 2 Mbit/s does for no archive. */
const BYTES_PER_MS_MIN = 256;
/** Of one PUT (Amazon S3 User Guide, "Uploading objects"). */
const OBJECT_BYTES_MAX = 5 * 2 ** 30;
/** The SDK asks for keys anew five minutes before they expire. */
const KEYS_GOOD_MS = 10 * 60_000;

export class S3Store implements ObjectStore, Disposable {
  readonly #options: S3StoreOptions;
  readonly #closing = new AbortController();
  #opened: Promise<Omit<Session, 'http'>> | undefined;

  constructor(options: S3StoreOptions) {
    this.#options = options;
  }

  /** Whoever waits for an answer waits no longer: it ends here, or at the deadline that it has. */
  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#opened?.then(
      ({ client }) => client.destroy(),
      () => {},
    );
  }

  put(key: string, parts: readonly Uint8Array[]): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#told({ what: `write ${this.#name(key)}`, bytes }, async ({ sdk, client, http }) => {
      if (bytes > OBJECT_BYTES_MAX)
        throw this.#failed(`write ${this.#name(key)}`, `${bytes} bytes are more than one PUT may have`);
      const Body = Buffer.concat(parts, bytes);
      await client.send(new sdk.PutObjectCommand({ ...this.#place(key), Body }), http);
    });
  }

  read(key: string, at: number, lengthBytes: number): Promise<Uint8Array> {
    const what = `read ${this.#name(key)}`;
    return this.#told({ what, bytes: lengthBytes }, async (session) => {
      try {
        return await this.#read(session, { key, at, lengthBytes });
      } catch (error) {
        const { name } = error as Error;
        if (name === 'NoSuchKey') throw archiveErrors.ARCHIVE_NO_OBJECT([key], { cause: error });
        if (name !== 'InvalidRange') throw error;
        if (lengthBytes === 0) return new Uint8Array();
        throw archiveErrors.ARCHIVE_DAMAGED([key, `it ends before byte ${at}`], { cause: error });
      }
    });
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    const { bucket: Bucket, prefix: before } = this.#options;
    let ContinuationToken: string | undefined;
    do {
      const page = await this.#told({ what: `list ${this.#name(prefix)}` }, ({ sdk, client, http }) =>
        client.send(
          new sdk.ListObjectsV2Command({ Bucket, Prefix: `${before}${prefix}`, ContinuationToken }),
          http,
        ),
      );
      for (const { Key, Size } of page.Contents ?? [])
        if (Key !== undefined) found.push({ key: Key.slice(before.length), sizeBytes: Size ?? 0 });
      ContinuationToken = page.NextContinuationToken;
      if (page.IsTruncated && ContinuationToken === undefined)
        throw this.#failed(
          `list ${this.#name(prefix)}`,
          'the endpoint says that there is more, and not where',
        );
    } while (ContinuationToken !== undefined);
    return inOrder(found);
  }

  remove(key: string): Promise<void> {
    return this.#told({ what: `remove ${this.#name(key)}` }, async ({ sdk, client, http }) => {
      try {
        await client.send(new sdk.DeleteObjectCommand(this.#place(key)), http);
      } catch (error) {
        // Some services say so.
        if ((error as Error).name !== 'NoSuchKey') throw error;
      }
    });
  }

  /** An answer that breaks off is asked for again: the SDK does so up to its first byte only. */
  async #read(session: Session, of: { key: string; at: number; lengthBytes: number }): Promise<Uint8Array> {
    const { sdk, client, http } = session;
    const { key, at, lengthBytes } = of;
    // No range is empty: whether the object is there is asked with its first byte.
    const [first, last] = lengthBytes === 0 ? [0, 0] : [at, at + lengthBytes - 1];
    for (let left = ATTEMPTS_MAX - 1; ; left--) {
      const Range = `bytes=${first}-${last}`;
      const answer = await client.send(new sdk.GetObjectCommand({ ...this.#place(key), Range }), http);
      try {
        const bytes = await bodyOf(answer);
        return lengthBytes === 0 ? new Uint8Array() : this.#checked(bytes, { ...of, answer });
      } catch (error) {
        if (isCoded(error) || left === 0 || http.abortSignal.aborted) throw error;
      }
    }
  }

  /** That it is what was asked for: an answer may have less, and a service may know nothing of ranges. */
  #checked(
    bytes: Uint8Array,
    of: { key: string; at: number; lengthBytes: number; answer: S3.GetObjectCommandOutput },
  ): Uint8Array {
    const { key, at, lengthBytes, answer } = of;
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.ContentRange ?? '') ?? [];
    if (Number(first) !== at || bytes.length > lengthBytes)
      throw this.#failed(
        `read ${this.#name(key)}`,
        'the endpoint answers another range than it is asked for',
      );
    if (bytes.length === lengthBytes) return bytes;
    const end = total === '*' ? at + bytes.length : Number(total);
    throw archiveErrors.ARCHIVE_DAMAGED([key, `it ends at byte ${end}, not at ${at + lengthBytes}`]);
  }

  /** Has the deadline of all attempts, and our words for what fails. @throws ARCHIVE_STORE_FAILED */
  async #told<T>(of: { what: string; bytes?: number }, work: (session: Session) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const requestTimeout = this.#timeoutMs + Math.ceil((of.bytes ?? 0) / BYTES_PER_MS_MIN);
    const late = new AbortController();
    const abortSignal = AbortSignal.any([late.signal, this.#closing.signal]);
    const cancel = clock.after(requestTimeout * ATTEMPTS_MAX, () => late.abort());
    try {
      const { sdk, client } = await this.#client();
      return await work({ sdk, client, http: { abortSignal, requestTimeout } });
    } catch (cause) {
      if (isCoded(cause)) throw cause;
      const why = describeFailure(cause, { ...this.#options, timeoutMs: requestTimeout });
      throw this.#failed(of.what, why, cause);
    } finally {
      cancel();
    }
  }

  #client(): Promise<Omit<Session, 'http'>> {
    if (this.#opened) return this.#opened;
    const opening = this.#open();
    this.#opened = opening;
    // One that failed is not kept.
    opening.catch(() => (this.#opened = undefined));
    return opening;
  }

  async #open(): Promise<Omit<Session, 'http'>> {
    const { region, endpoint, credentials, clock } = this.#options;
    const sdk = await import('@aws-sdk/client-s3');
    const client = new sdk.S3Client({
      region,
      // What happens to stand in this user's variables and files is meant for other programs.
      ...(endpoint === undefined
        ? { ignoreConfiguredEndpointUrls: true }
        : { endpoint, forcePathStyle: true }),
      credentials: async () => ({
        ...(await credentials()),
        expiration: new Date(clock.wallMs() + KEYS_GOOD_MS),
      }),
      maxAttempts: ATTEMPTS_MAX,
      retryMode: 'standard',
      defaultsMode: 'standard',
      followRegionRedirects: false,
      useArnRegion: false,
      useDualstackEndpoint: false,
      useFipsEndpoint: false,
      // Not every service knows this, and it costs a round trip.
      expectContinueHeader: false,
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: Math.min(CONNECT_MS_MAX, this.#timeoutMs),
        socketTimeout: this.#timeoutMs,
        throwOnRequestTimeout: true,
      },
    });
    return { sdk, client };
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? TIMEOUT_MS;
  }

  #place(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#options.prefix}${key}` };
  }

  #name(key: string): string {
    return `s3://${this.#options.bucket}/${this.#options.prefix}${key}`;
  }

  /** `detail` has the reason alone. */
  #failed(what: string, why: string, cause?: unknown): Error {
    return archiveErrors.ARCHIVE_STORE_FAILED([what, why], { detail: { why }, cause });
  }
}

async function bodyOf({ Body }: S3.GetObjectCommandOutput): Promise<Uint8Array> {
  return (await Body?.transformToByteArray()) ?? new Uint8Array();
}
