/** Where history is kept other than in the data directory: `s3://BUCKET[/PREFIX]`, chosen when that is made, and kept in its identity. */
import type { ArchiveChoice } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';

/** What was said; a region that was not is chosen with the rest. */
export type ArchiveWish = Omit<ArchiveChoice, 'region'> & { readonly region?: string };

/** Of buckets (Amazon S3 User Guide, "General purpose bucket naming rules"), and of a prefix that needs no escapes anywhere. */
const LOCATION = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w!.*()-]+)*\/?$/;
const REGION = /^[a-z0-9-]{2,40}$/;
const REGION_DEFAULT = 'us-east-1';

/** @throws ROKKA_BAD_FLAG, ROKKA_BAD_VALUE */
export function parseArchive(values: {
  archive?: string | undefined;
  'archive-endpoint'?: string | undefined;
  'archive-region'?: string | undefined;
}): ArchiveWish | undefined {
  const { archive, 'archive-endpoint': endpoint, 'archive-region': region } = values;
  if (archive === undefined) {
    if (endpoint ?? region)
      throw rokkaErrors.ROKKA_BAD_FLAG(['--archive-endpoint and --archive-region go with --archive']);
    return undefined;
  }
  if (!LOCATION.test(archive))
    throw rokkaErrors.ROKKA_BAD_VALUE([
      'archive',
      archive,
      's3://BUCKET or s3://BUCKET/PREFIX; without the flag it is a directory in --data',
    ]);
  if (region !== undefined && !REGION.test(region))
    throw rokkaErrors.ROKKA_BAD_VALUE([
      'archive-region',
      region,
      'the name of a region, such as eu-central-1',
    ]);
  return {
    location: archive.replace(/\/$/, ''),
    ...(endpoint !== undefined && { endpoint: parseEndpoint(endpoint) }),
    ...(region !== undefined && { region }),
  };
}

/** A new directory's. */
export function chooseArchive(wish: ArchiveWish): ArchiveChoice {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  return { ...wish, region: wish.region ?? (AWS_REGION || AWS_DEFAULT_REGION || REGION_DEFAULT) };
}

/** @throws ROKKA_ARCHIVE_FIXED where it says something else than the directory was made with */
export function requireSameArchive(
  directory: string,
  known: ArchiveChoice | undefined,
  wish: ArchiveWish,
): void {
  const same =
    known?.location === wish.location &&
    (wish.endpoint ?? known.endpoint) === known.endpoint &&
    (wish.region ?? known.region) === known.region;
  if (same) return;
  const own = known ? describeArchive(known) : 'a directory of its own';
  throw rokkaErrors.ROKKA_ARCHIVE_FIXED([directory, own, describeArchive(wish)]);
}

export function describeArchive({ location, endpoint, region }: ArchiveWish): string {
  const where = [endpoint, region].filter((one) => one !== undefined);
  return where.length === 0 ? location : `${location} (${where.join(', ')})`;
}

/** @throws ROKKA_BAD_VALUE; its message does not repeat what may be a password */
function parseEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href) return url.origin;
  const shown = text.includes('@') ? '…' : text;
  throw rokkaErrors.ROKKA_BAD_VALUE([
    'archive-endpoint',
    shown,
    'http://HOST[:PORT] or https://HOST[:PORT], with nothing behind it and no keys in it',
  ]);
}
