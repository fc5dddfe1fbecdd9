/**
 * Smithy RPC v2 CBOR: POST to `/service/NAME/operation/OPERATION`, CBOR both ways, marked by the `smithy-protocol` header.
 * https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
 */
import { cbor, CborCodec } from '@smithy/core/cbor';
import type { $SchemaRef } from '@smithy/types';
import { withMessage } from './aws-json.ts';
import { readCbor } from './cbor-reader.ts';
import type { Codec, Members } from './codec.ts';
import { readDocument } from './document-reader.ts';
import { normalized } from './schema.ts';

const FORM = { jsonNames: false, binary: true } as const;
const HEADERS = { 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' };

export const rpcV2Cbor: Codec = {
  family: 'json',
  route: (_service, request) => /^\/service\/[\w.]+\/operation\/(\w+)$/.exec(request.path)?.[1],
  decode(_service, operation, request) {
    const schema = normalized(operation[4]);
    const document = request.body.length === 0 ? {} : readCbor(request.body);
    return schema.isUnitSchema() ? {} : (readDocument(schema, document, FORM) as Members);
  },
  encode({ operation, output }) {
    const isUnit = normalized(operation[5]).isUnitSchema();
    return { status: 200, headers: HEADERS, body: isUnit ? Buffer.of(0xa0) : write(operation[5], output) };
  },
  encodeError({ error }) {
    const members = error.schema
      ? (readCbor(Buffer.from(write(error.schema, withMessage(error.members, error.message)))) as Members)
      : { message: error.message };
    const body = cbor.serialize({ __type: error.code, ...members });
    return { status: error.status, headers: HEADERS, body };
  },
};

function write(schema: $SchemaRef, value: Members): Uint8Array {
  const serializer = new CborCodec().createSerializer();
  serializer.write(normalized(schema), value);
  return serializer.flush();
}
