/** The other half of the wire: the SDK's own protocol object writes requests and reads answers, without a socket. */
import { HttpResponse } from '@smithy/core/protocols';
import * as serde from '@smithy/core/serde';
import type { StaticOperationSchema } from '@smithy/types';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { membersOf } from '../codecs/schema.ts';
import type { WireRequest, WireResponse } from '../wire.ts';

interface Protocol {
  setSerdeContext(context: unknown): void;
  serializeRequest(operation: unknown, input: unknown, context: unknown): Promise<SentRequest>;
  deserializeResponse(
    operation: unknown,
    context: unknown,
    response: HttpResponse,
  ): Promise<Record<string, unknown>>;
}

interface SentRequest {
  method: string;
  path: string;
  query?: Record<string, string | string[]>;
  headers: Record<string, string>;
  body?: string | Uint8Array;
}

type ClientClass = new (config: object) => { config: unknown };

export class OfficialClient {
  readonly #context: Record<string, unknown>;
  readonly #protocol: Protocol;

  constructor(Client: ClientClass) {
    const { config } = new Client({
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    this.#context = {
      ...(config as object),
      endpoint: async () => ({ protocol: 'http:', hostname: 'h', path: '' }),
      streamCollector: async (body: Uint8Array) => body,
      base64Encoder: serde.toBase64,
      base64Decoder: serde.fromBase64,
      utf8Encoder: serde.toUtf8,
      utf8Decoder: serde.fromUtf8,
    };
    this.#protocol = (config as { protocol: Protocol }).protocol;
    this.#protocol.setSerdeContext(this.#context);
  }

  async write(operation: StaticOperationSchema, input: unknown): Promise<WireRequest> {
    const sent = await this.#protocol.serializeRequest(described(operation), input, this.#context);
    return {
      method: sent.method,
      path: sent.path,
      query: searchOf(sent.query),
      headers: Object.fromEntries(
        Object.entries(sent.headers).map(([name, value]) => [name.toLowerCase(), value]),
      ),
      body: bytesOf(sent.body ?? ''),
    };
  }

  async read(operation: StaticOperationSchema, response: WireResponse): Promise<Record<string, unknown>> {
    const body = response.body instanceof Readable ? await buffer(response.body) : Buffer.from(response.body);
    const headers = { ...response.headers };
    const isStream = membersOf(operation[5]).some(([, schema]) => schema.isStreaming());
    const answer = new HttpResponse({
      statusCode: response.status,
      headers,
      body: isStream ? Readable.from([body]) : body,
    });
    const read = await this.#protocol.deserializeResponse(described(operation), this.#context, answer);
    for (const [name, value] of Object.entries(read))
      if (value instanceof Readable) read[name] = await buffer(value);
    return read;
  }
}

export function searchOf(query: Record<string, unknown> = {}): URLSearchParams {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  return search;
}

/** Not `Buffer.from(body)`: the SDK's JSON bytes pose as a string, and warn when they are taken for one. */
function bytesOf(body: string | Uint8Array): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

const described = ([, namespace, name, traits, input, output]: StaticOperationSchema) => ({
  namespace,
  name,
  traits,
  input,
  output,
});
