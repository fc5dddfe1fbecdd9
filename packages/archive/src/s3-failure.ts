/**
 * Why an S3 endpoint did not do what it was asked to, in words that name the way out. What is
 * said here gets into logs: it names neither keys nor what was signed.
 */

export interface S3Location {
  readonly bucket: string;
  /** What every key in the bucket begins with: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  /** The URL of a service other than AWS; the bucket then stands in its path. */
  readonly endpoint?: string;
}

/** What the SDK throws: its own errors, and those of Node below it. */
interface Thrown {
  readonly name?: string;
  readonly message?: string;
  /** Of Node: ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED … */
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** @param of.timeoutMs what an answer may take */
export function describeFailure(error: unknown, of: S3Location & { timeoutMs: number }): string {
  const thrown = (error ?? {}) as Thrown;
  const status = thrown.$metadata?.httpStatusCode;
  const { name = 'Error', message = String(error) } = thrown;
  const endpoint = of.endpoint ?? `AWS in ${of.region}`;
  if (status === undefined) return unanswered(thrown, { endpoint, timeoutMs: of.timeoutMs });
  const known = KNOWN[name]?.(of, endpoint);
  if (known) return `${known} (${name})`;
  const region = thrown.$response?.headers?.['x-amz-bucket-region'];
  if (REGION_CODES.test(name) || (status === 301 && region !== undefined))
    return otherRegion(of, region ?? /expecting '([^']+)'/.exec(message)?.[1]);
  if (status === 403) return `${denied(of)} (${name})`;
  if (status >= 500 || status === 429) return `${endpoint} cannot just now (${status} ${name})`;
  return `${endpoint} refuses it: ${oneLine(message)} (${status} ${name})`;
}

/** By the code of the answer (Amazon S3 API Reference, "Error responses"). */
const KNOWN: Readonly<Record<string, (of: S3Location, endpoint: string) => string>> = {
  AccessDenied: (of) => denied(of),
  NoSuchBucket: ({ bucket }, endpoint) =>
    `there is no bucket ${bucket} at ${endpoint}: make it, or look at its name`,
  InvalidAccessKeyId: (_, endpoint) => `${endpoint} does not know the access key: give one of that service`,
  SignatureDoesNotMatch: () => 'the secret key does not belong to the access key: look at both',
  ExpiredToken: () => 'the session token has expired: give new keys',
  InvalidToken: () => 'the session token is not one of these keys: give all three of one session',
  RequestTimeTooSkewed: () =>
    "this machine's clock and the endpoint's are more than 15 minutes apart: set it, or have NTP do so",
};

const REGION_CODES =
  /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/;

function otherRegion({ bucket, region }: S3Location, found: string | undefined): string {
  const use = found === undefined ? 'another region' : `region ${found}`;
  return `bucket ${bucket} is in ${use}, not in ${region}: give the one that it is in`;
}

function denied({ bucket, prefix }: S3Location): string {
  return `access is denied: the keys need s3:PutObject, s3:GetObject and s3:DeleteObject for ${bucket}/${prefix}* and s3:ListBucket for ${bucket}`;
}

/** Of the network, of this machine's certificates, or late. */
function unanswered({ name, message, code }: Thrown, of: { endpoint: string; timeoutMs: number }): string {
  const { endpoint, timeoutMs } = of;
  if (name === 'TimeoutError' || name === 'AbortError')
    return `${endpoint} has not answered within ${timeoutMs} ms`;
  const what = typeof code === 'string' ? code : `${name}: ${oneLine(message ?? '')}`;
  return `${endpoint} cannot be reached (${what}): look at its URL and the network`;
}

/** An answer that is no XML may be a whole page. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200);
}
