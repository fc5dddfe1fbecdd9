/**
 * awsQuery and ec2Query: a form that names its `Action`, and XML back. They differ in how lists are written, in the envelope
 * around the answer and in that around an error.
 * https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, …/aws-ec2-query-protocol.html
 */
import type { StaticOperationSchema, StaticStructureSchema } from '@smithy/types';
import { Failure } from '../failures.ts';
import type { Service } from '../service.ts';
import type { WireRequest } from '../wire.ts';
import type { Codec, Members } from './codec.ts';
import { formOf } from './form.ts';
import { readForm } from './form-reader.ts';
import { membersOf, normalized, structure } from './schema.ts';
import { writeXml, XML_HEADERS } from './xml-writer.ts';

const METADATA = structure('ResponseMetadata', [['RequestId', 0]]);
const QUERY_ERROR = structure('ErrorResponse', [
  [
    'Error',
    structure(
      'Error',
      ['Type', 'Code', 'Message'].map((name) => [name, 0] as const),
    ),
  ],
  ['RequestId', 0],
]);
const EC2_ERROR = structure('Response', [
  [
    'Errors',
    structure('Errors', [
      [
        'Error',
        structure('Error', [
          ['Code', 0],
          ['Message', 0],
        ]),
      ],
    ]),
  ],
  ['RequestID', 0],
]);

export const awsQuery: Codec = {
  family: 'query',
  route: routeForm,
  decode: (service, operation, request) => decodeForm(service, operation, request, 'query'),
  encode({ service, operation, output, requestId }) {
    const result = `${operation[2]}Result`;
    const value = { [result]: output, ResponseMetadata: { RequestId: requestId } };
    return {
      status: 200,
      headers: XML_HEADERS,
      body: writeXml(queryEnvelope(operation), value, service.xmlNamespace),
    };
  },
  encodeError({ service, error, requestId }) {
    const Type = error.status < 500 ? 'Sender' : 'Receiver';
    const value = { Error: { Type, Code: error.code, Message: error.message }, RequestId: requestId };
    return {
      status: error.status,
      headers: XML_HEADERS,
      body: writeXml(QUERY_ERROR, value, service.xmlNamespace),
    };
  },
};

export const ec2Query: Codec = {
  family: 'ec2',
  route: routeForm,
  decode: (service, operation, request) => decodeForm(service, operation, request, 'ec2'),
  encode({ service, operation, output, requestId }) {
    const value = { ...output, requestId };
    return {
      status: 200,
      headers: XML_HEADERS,
      body: writeXml(ec2Envelope(operation), value, service.xmlNamespace),
    };
  },
  encodeError({ error, requestId }) {
    const value = { Errors: { Error: { Code: error.code, Message: error.message } }, RequestID: requestId };
    return { status: error.status, headers: XML_HEADERS, body: writeXml(EC2_ERROR, value, undefined) };
  },
};

function routeForm(_service: Service, request: WireRequest): string | undefined {
  return formOf(request).child('Action')?.value;
}

function decodeForm(
  service: Service,
  operation: StaticOperationSchema,
  request: WireRequest,
  dialect: 'query' | 'ec2',
): Members {
  const form = formOf(request);
  const version = form.child('Version')?.value;
  if (version !== undefined && version !== service.version)
    throw new Failure(
      'unknownOperation',
      `Could not find operation ${operation[2]} for version ${version.slice(0, 32)}`,
    );
  const schema = normalized(operation[4]);
  return schema.isUnitSchema() ? {} : (readForm(schema, form, dialect) as Members);
}

const queryEnvelope = remembered((operation) =>
  structure(`${operation[2]}Response`, [
    [`${operation[2]}Result`, structure(`${operation[2]}Result`, membersOf(operation[5]))],
    ['ResponseMetadata', METADATA],
  ]),
);

const ec2Envelope = remembered((operation) =>
  structure(`${operation[2]}Response`, [...(membersOf(operation[5]) as never[]), ['requestId', 0]]),
);

/** An envelope is made once for each operation: the SDK keeps what it works out about a schema on the schema. */
function remembered(
  make: (operation: StaticOperationSchema) => StaticStructureSchema,
): (operation: StaticOperationSchema) => StaticStructureSchema {
  const made = new WeakMap<StaticOperationSchema, StaticStructureSchema>();
  return (operation) => {
    let schema = made.get(operation);
    if (!schema) made.set(operation, (schema = make(operation)));
    return schema;
  };
}
