/** The keys of the bucket that an archive is in: from a file of the data directory, or from the variables that `rokka up` was started with. */
import * as fs from 'node:fs';
import type { S3Credentials } from '@rokka/archive';
import { rokkaErrors } from '../errors.ts';

const PROFILE = 'default';

/**
 * The file wins: it may be written anew while everything runs.
 * @param file in the format of AWS's credentials file
 * @throws ROKKA_ARCHIVE_KEYS
 */
export function readArchiveKeys(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): S3Credentials {
  const text = read(file);
  if (text === undefined) {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = environment;
    return credentials([id, secret, token], () =>
      rokkaErrors.ROKKA_ARCHIVE_KEYS([file, 'neither the file nor both variables are there']),
    );
  }
  const own = profileIn(text, PROFILE);
  const names = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'];
  return credentials(
    names.map((name) => own.get(name)),
    () => rokkaErrors.ROKKA_ARCHIVE_KEYS([file, `[${PROFILE}] in it lacks ${names[0]} or ${names[1]}`]),
  );
}

/** An empty value is none: so scripts pass on what is not set. */
function credentials(
  [accessKeyId, secretAccessKey, sessionToken]: readonly (string | undefined)[],
  missing: () => Error,
): S3Credentials {
  if (!accessKeyId || !secretAccessKey) throw missing();
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/** Undefined where there is none. */
function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw rokkaErrors.ROKKA_ARCHIVE_KEYS([file, `the file cannot be read (${code})`], { cause });
  }
}

/** The settings of one section (AWS SDKs and Tools Reference Guide, "Shared config and credentials files"). */
function profileIn(text: string, profile: string): Map<string, string> {
  const settings = new Map<string, string>();
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    const [, head] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? [];
    if (head !== undefined) section = head;
    const [, name, value] = /^\s*([^\s#;=]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === profile && name !== undefined && value !== undefined)
      settings.set(name.toLowerCase(), value);
  }
  return settings;
}
