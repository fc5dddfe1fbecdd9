/**
 * What the gateway knows of one AWS service, read off the official SDK's client: there is no table of ours. Every client
 * package exports its operations and errors as static schemas from its main entry, and its configuration names the protocol.
 *
 * A package of the SDK costs tens of megabytes and hundreds of milliseconds to load, so a service is known by its signing
 * name alone until somebody calls it: `lazyService`.
 */
import { flushCompileCache } from 'node:module';
import { isCoded } from '@rokka/kernel';
import type { StaticErrorSchema, StaticOperationSchema } from '@smithy/types';
import { gatewayErrors } from './errors.ts';
import { untyped, type AnyOperation, type Operations } from './operation.ts';

export type ProtocolId =
  | 'aws.protocols#awsJson1_0'
  | 'aws.protocols#awsJson1_1'
  | 'aws.protocols#awsQuery'
  | 'aws.protocols#ec2Query'
  | 'aws.protocols#restJson1'
  | 'smithy.protocols#rpcv2Cbor';

const PROTOCOLS: readonly string[] = [
  'aws.protocols#awsJson1_0',
  'aws.protocols#awsJson1_1',
  'aws.protocols#awsQuery',
  'aws.protocols#ec2Query',
  'aws.protocols#restJson1',
  'smithy.protocols#rpcv2Cbor',
] satisfies ProtocolId[];

export interface Service {
  /** `rds`: the service in a signature's scope. */
  readonly signingName: string;
  /** `rds` of `rds:CreateDBCluster`. */
  readonly actionPrefix: string;
  /** `rds.amazonaws.com`. */
  readonly eventSource: string;
  /** What it calls a missing member, where that is not its family's word. */
  readonly missingParameterCode: string | undefined;
  /** Its own; a request in another one's shape is answered in that shape. */
  readonly protocol: ProtocolId;
  /** `AmazonSSM` of the header `X-Amz-Target: AmazonSSM.GetParameter`. */
  readonly target: string | undefined;
  /** `2014-10-31`. */
  readonly version: string;
  readonly xmlNamespace: string | undefined;
  readonly operations: ReadonlyMap<string, StaticOperationSchema>;
  readonly errors: ReadonlyMap<string, StaticErrorSchema>;
  readonly handlers: ReadonlyMap<string, AnyOperation>;
}

export interface LazyService {
  readonly signingName: string;
  /** What refusals are written in before the module is loaded; without it the request's shape says. */
  readonly protocol: ProtocolId | undefined;
  /** Concurrent callers share one load; after a failed one the next caller tries again. */
  load(): Promise<Service>;
}

export type RegisteredService = Service | LazyService;

type ClientClass = new (config: {
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}) => { config: unknown };

interface ClientConfig {
  defaultSigningName: string;
  protocol: { getShapeId(): string };
  protocolSettings: { version: string; xmlNamespace?: string; serviceTarget?: string };
}

/**
 * @param of.sdk the module, as `import * as rds` gives it
 * @param of.client its client class
 * @param of.operations those that are built; the others answer NotImplemented
 * @throws GATEWAY_SDK_CHANGED, GATEWAY_UNKNOWN_OPERATION
 */
export function defineService<M extends object>(of: {
  sdk: M;
  client: ClientClass;
  /** Where the prefix of actions in policies is not the signing name: `cloudwatch`, which signs as `monitoring`. */
  actionPrefix?: string;
  /** `ValidationError` of IAM and STS, where others of awsQuery say MissingParameter. */
  missingParameterCode?: string;
  // NoInfer: else the module's type is inferred from the operations too, and they are checked against nothing.
  operations: NoInfer<Operations<M>>;
}): Service {
  const config = clientConfig(of.client);
  const schemas = Object.values(of.sdk).filter((value) => Array.isArray(value)) as (
    | StaticOperationSchema
    | StaticErrorSchema
  )[];
  const operations = new Map(
    schemas.filter((schema) => schema[0] === 9).map((schema) => [schema[2], schema]),
  );
  if (operations.size === 0)
    throw gatewayErrors.GATEWAY_SDK_CHANGED([`${config.defaultSigningName}: no operations`]);
  for (const name of Object.keys(of.operations)) {
    if (!operations.has(name))
      throw gatewayErrors.GATEWAY_UNKNOWN_OPERATION([config.defaultSigningName, name]);
  }
  const actionPrefix = of.actionPrefix ?? config.defaultSigningName;
  return {
    signingName: config.defaultSigningName,
    actionPrefix,
    missingParameterCode: of.missingParameterCode,
    eventSource: `${config.defaultSigningName}.amazonaws.com`,
    target: config.protocolSettings.serviceTarget,
    protocol: config.protocol.getShapeId() as ProtocolId,
    version: config.protocolSettings.version,
    xmlNamespace: config.protocolSettings.xmlNamespace,
    operations,
    errors: new Map(schemas.filter((schema) => schema[0] === -3).map((schema) => [schema[2], schema])),
    handlers: new Map(Object.entries(of.operations).map(([name, entry]) => [name, untyped(name, entry)])),
  };
}

/** A service whose SDK package is imported at the first request for it. */
export function lazyService(of: {
  signingName: string;
  /** Needed for EC2 alone, whose refusals have an envelope of their own. */
  protocol?: ProtocolId;
  load: () => Promise<Service>;
}): LazyService {
  let loading: Promise<Service> | undefined;
  async function load(): Promise<Service> {
    const service = await of.load();
    if (service.signingName !== of.signingName)
      throw gatewayErrors.GATEWAY_SERVICE_MISNAMED([of.signingName, service.signingName]);
    // Where compiled code is kept at all, Node would write it at an orderly exit only. With it the next process loads this in
    // half the time, and in 30 MiB less: it needs no compiler.
    flushCompileCache();
    return service;
  }
  return {
    signingName: of.signingName,
    protocol: of.protocol,
    load() {
      loading ??= load().catch((error: unknown) => {
        // A misnamed module stays so; anything else (no memory, no file) may pass.
        if (!isCoded(error, 'GATEWAY_SERVICE_MISNAMED')) loading = undefined;
        throw error;
      });
      return loading;
    },
  };
}

/** A client is made only to be asked what it would say: it opens nothing until it sends. */
function clientConfig(Client: ClientClass): ClientConfig {
  const { config } = new Client({ region: 'local', credentials: { accessKeyId: '-', secretAccessKey: '-' } });
  const known = config as ClientConfig;
  const protocol = known.protocol?.getShapeId?.();
  if (!PROTOCOLS.includes(protocol))
    throw gatewayErrors.GATEWAY_SDK_CHANGED([`${Client.name}: protocol ${protocol}`]);
  if (typeof known.defaultSigningName !== 'string' || typeof known.protocolSettings?.version !== 'string')
    throw gatewayErrors.GATEWAY_SDK_CHANGED([`${Client.name}: no signing name or version`]);
  return known;
}
