/**
 * Which codec a request speaks. It is chosen by the request's shape and not by the service: the same call to the same service
 * comes as a form from one version of the AWS CLI and as CBOR from the next. Only where the shape says nothing, the service's
 * own protocol counts.
 */
import type { ProtocolId } from '../service.ts';
import type { WireRequest } from '../wire.ts';
import { awsJson } from './aws-json.ts';
import { awsQuery, ec2Query } from './aws-query.ts';
import type { Codec } from './codec.ts';
import { restJson } from './rest-json.ts';
import { rpcV2Cbor } from './rpc-v2-cbor.ts';

export const CODECS: Readonly<Record<ProtocolId, Codec>> = {
  'aws.protocols#awsJson1_0': awsJson('1.0'),
  'aws.protocols#awsJson1_1': awsJson('1.1'),
  'aws.protocols#awsQuery': awsQuery,
  'aws.protocols#ec2Query': ec2Query,
  'aws.protocols#restJson1': restJson,
  'smithy.protocols#rpcv2Cbor': rpcV2Cbor,
};

/** @param protocol the service's own, where it is known */
export function chooseCodec(
  protocol: ProtocolId | undefined,
  request: Pick<WireRequest, 'headers' | 'query'>,
): Codec {
  const type = request.headers['content-type'] ?? '';
  if (request.headers['smithy-protocol'] === 'rpc-v2-cbor') return rpcV2Cbor;
  if (type.startsWith('application/x-amz-json-1.0')) return CODECS['aws.protocols#awsJson1_0'];
  if (type.startsWith('application/x-amz-json-1.1')) return CODECS['aws.protocols#awsJson1_1'];
  if (type.startsWith('application/x-www-form-urlencoded') || request.query.has('Action'))
    return protocol === 'aws.protocols#ec2Query' ? ec2Query : awsQuery;
  return CODECS[protocol ?? 'aws.protocols#restJson1'];
}
