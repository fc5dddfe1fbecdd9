/**
 * A profile in the files that AWS's clients read (AWS SDKs and Tools Reference Guide, "Shared config and credentials
 * files"). Other profiles in them stay as they are. Each file is written beside its place and moved there, owner only, so
 * that nobody ever reads half a secret.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '@rokka/kernel';
import { servicesErrors } from '../errors.ts';

export interface AwsProfile {
  /** Made where it is missing, owner only. */
  directory: string;
  /** Default `rokka`. */
  name?: string;
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
  /** `https://host:port`. */
  endpointUrl: string;
}

export interface AwsProfileFiles {
  /** For AWS_SHARED_CREDENTIALS_FILE. */
  credentials: string;
  /** For AWS_CONFIG_FILE. */
  config: string;
}

/** @throws IDENTITY_BAD_PROFILE */
export function writeAwsProfile(profile: AwsProfile): AwsProfileFiles {
  const { directory, name = 'rokka' } = profile;
  const files = { credentials: path.join(directory, 'credentials'), config: path.join(directory, 'config') };
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  putSection(files.credentials, [
    `[${name}]`,
    `aws_access_key_id = ${profile.accessKeyId}`,
    `aws_secret_access_key = ${profile.secretAccessKey}`,
  ]);
  putSection(files.config, [
    `[profile ${name}]`,
    `region = ${profile.region}`,
    `endpoint_url = ${profile.endpointUrl}`,
  ]);
  return files;
}

function putSection(file: string, section: readonly string[]): void {
  const kept = withoutSection(readLines(file), section[0]);
  const text = [...kept, ...(kept.length > 0 && kept.at(-1) !== '' ? [''] : []), ...section, ''].join('\n');
  try {
    writeDurably(file, text);
  } catch (error) {
    throw badProfile(file, error);
  }
}

function readLines(file: string): string[] {
  try {
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw badProfile(file, error);
  }
}

function withoutSection(lines: readonly string[], header: string): string[] {
  let inside = false;
  return lines.filter((line) => {
    if (line.trimStart().startsWith('[')) inside = line.trim() === header;
    return !inside;
  });
}

const badProfile = (file: string, error: unknown) =>
  servicesErrors.IDENTITY_BAD_PROFILE([file, (error as NodeJS.ErrnoException).code ?? String(error)], {
    cause: error,
  });
