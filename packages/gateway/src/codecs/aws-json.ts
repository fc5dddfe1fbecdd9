/**
 * awsJson1.0 and 1.1: POST to `/`, the operation in `X-Amz-Target: Prefix.Operation`, input and output as JSON documents.
 * https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
 */
import { normalized } from './schema.ts';
import type { Codec, Members } from './codec.ts';
import { readDocument } from './document-reader.ts';
import { parseJson, writeJson } from './json.ts';

const FORM = { jsonNames: false, binary: false } as const;

export function awsJson(version: '1.0' | '1.1'): Codec {
  const headers = { 'content-type': `application/x-amz-json-${version}` };
  return {
    family: 'json',
    route(service, request) {
      const target = request.headers['x-amz-target'] ?? '';
      const at = target.lastIndexOf('.');
      const prefix = target.slice(0, at);
      // Some clients write the name of CloudTrail's Java package before it. Another service's is a request that went astray.
      const isOurs =
        service.target === undefined || prefix === service.target || prefix.endsWith(`.${service.target}`);
      if (at < 0 || !isOurs) return undefined;
      return target.slice(at + 1);
    },
    decode(_service, operation, request) {
      const schema = normalized(operation[4]);
      const document = parseJson(request.body);
      return schema.isUnitSchema() ? {} : (readDocument(schema, document, FORM) as Members);
    },
    encode({ operation, output }) {
      const isUnit = normalized(operation[5]).isUnitSchema();
      return { status: 200, headers, body: isUnit ? '{}' : writeJson(operation[5], output, 'rpc') };
    },
    encodeError({ error }) {
      const members = error.schema
        ? (parseJson(writeJson(error.schema, withMessage(error.members, error.message), 'rpc')) as Members)
        : { message: error.message };
      return { status: error.status, headers, body: JSON.stringify({ __type: error.code, ...members }) };
    },
  };
}

/** Some models write the member with a capital. */
export function withMessage(members: Members | undefined, message: string): Members {
  return { ...members, message, Message: message };
}
