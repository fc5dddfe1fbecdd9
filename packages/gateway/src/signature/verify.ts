/**
 * Signature Version 4 on the server: sign the request again with the caller's secret, and compare.
 *
 * The order of refusals is AWS's: no claim, a claim that is incomplete, a time that is off, a key that is not known, a token
 * that is not the key's, a signature that does not match; and last, what only the owner of the key may learn, that it has
 * expired.
 *
 * What must be signed beside what AWS names: `host` (of HTTP/2 `:authority`), and every `x-amz-…` header that is there. Else whoever stands between
 * could add one.
 */
import { timingSafeEqual } from 'node:crypto';
import { Failure } from '../failures.ts';
import type { Credential, Credentials } from '../identity.ts';
import type { WireRequest } from '../wire.ts';
import { canonicalRequest, sha256 } from './canonical-request.ts';
import { ALGORITHM, basicTime, readClaim, type Claim, type Scope } from './scope.ts';
import { hmac, type SigningKeys } from './signing-keys.ts';

/** How far a signer's clock may be off, either way. */
export const SKEW_MS_MAX = 15 * 60_000;

export interface Verified {
  readonly credential: Credential;
  readonly scope: Scope;
  readonly signature: string;
  /** Whether the client signs a number of its own with each call, so that no two requests of it are the same. */
  readonly isUnique: boolean;
  /** Wall time after which this signature is refused anyway. */
  readonly goodUntilMs: number;
}

/** @throws Failure missingToken, incompleteSignature, expiredSignature, expiredUrl, unknownKey, wrongSignature, expiredToken */
export async function verifySignature(
  request: WireRequest,
  options: { credentials: Credentials; keys: SigningKeys; nowMs: number },
): Promise<Verified> {
  const claim = readClaim(request);
  checkSignedHeaders(claim, request);
  const goodUntilMs = checkTime(claim, options.nowMs);
  const credential = await options.credentials.find(claim.scope.accessKeyId);
  if (!credential || !isSameToken(credential.sessionToken, claim.sessionToken))
    throw new Failure('unknownKey', 'The security token included in the request is invalid.');
  checkSignature(claim, request, { secret: credential.secretAccessKey, keys: options.keys });
  if (credential.expiresAtMs !== undefined && credential.expiresAtMs <= options.nowMs)
    throw new Failure('expiredToken', 'The security token included in the request is expired');
  const isUnique = claim.signedHeaders.includes('amz-sdk-invocation-id');
  return { credential, scope: claim.scope, signature: claim.signature, isUnique, goodUntilMs };
}

function checkSignedHeaders({ signedHeaders }: Claim, request: WireRequest): void {
  if (!signedHeaders.includes('host') && !signedHeaders.includes(':authority'))
    throw new Failure(
      'wrongSignature',
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    );
  const loose = Object.keys(request.headers).find(
    (name) => name.startsWith('x-amz-') && !signedHeaders.includes(name),
  );
  if (loose !== undefined)
    throw new Failure(
      'wrongSignature',
      `There were headers present in the request which were not signed: ${loose}`,
    );
  const absent = signedHeaders.find((name) => request.headers[name] === undefined);
  if (absent !== undefined)
    throw new Failure(
      'wrongSignature',
      `The request signature names a header that is not there: ${absent.slice(0, 128)}`,
    );
}

/** Until when the signature is good. */
function checkTime(claim: Claim, nowMs: number): number {
  const { timestamp, timestampMs, scope } = claim;
  if (!timestamp.startsWith(scope.day))
    throw new Failure(
      'wrongSignature',
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scope.day}' != '${timestamp.slice(0, 8)}', from '${timestamp}'.`,
    );
  if (timestampMs - nowMs > SKEW_MS_MAX)
    throw new Failure(
      'expiredSignature',
      `Signature not yet current: ${timestamp} is still later than ${basicTime(nowMs + SKEW_MS_MAX)} (${basicTime(nowMs)} + 15 min.)`,
    );
  const goodUntilMs = timestampMs + (claim.expiresMs ?? SKEW_MS_MAX);
  if (nowMs <= goodUntilMs) return goodUntilMs;
  if (claim.expiresMs !== undefined) throw new Failure('expiredUrl', 'Request has expired.');
  throw new Failure(
    'expiredSignature',
    `Signature expired: ${timestamp} is now earlier than ${basicTime(nowMs - SKEW_MS_MAX)} (${basicTime(nowMs)} - 15 min.)`,
  );
}

function checkSignature(
  claim: Claim,
  request: WireRequest,
  { secret, keys }: { secret: string; keys: SigningKeys },
): void {
  const { scope, signedHeaders, timestamp } = claim;
  const payloadHash = sha256(request.body);
  const statedHash = request.headers['x-amz-content-sha256'];
  const canonical = canonicalRequest(request, { signedHeaders, payloadHash });
  const scopeText = `${scope.day}/${scope.region}/${scope.service}/aws4_request`;
  const key = keys.find(scope, secret);
  const expected = hmac(key, `${ALGORITHM}\n${timestamp}\n${scopeText}\n${sha256(canonical)}`);
  const isSame = timingSafeEqual(Buffer.from(claim.signature, 'hex'), expected);
  if (!isSame || (statedHash !== undefined && statedHash !== payloadHash))
    throw new Failure(
      'wrongSignature',
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  keys.keep(scope, secret, key);
}

/** Where there is a token, in a time that tells nothing of how much of it was right. */
function isSameToken(known = '', claimed = ''): boolean {
  if (known === '') return claimed === '';
  return timingSafeEqual(Buffer.from(sha256(known), 'hex'), Buffer.from(sha256(claimed), 'hex'));
}
