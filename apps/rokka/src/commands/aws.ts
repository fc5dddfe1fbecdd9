/** `rokka env` and `rokka aws …`: the AWS CLI and the SDKs on the cluster's own API, as its administrator. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Deferred } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { dataPaths } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { Terminal } from '../terminal.ts';

const PROFILE = 'rokka';

/** Lines for `eval`. @throws ROKKA_NO_AWS_PROFILE */
export async function env(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  for (const [name, value] of Object.entries(environmentOf(args.dataDirectory)))
    terminal.line(`export ${name}=${quoted(value)}`);
  // Another program's keys would come first.
  terminal.line('unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN');
  return 0;
}

/** @returns the exit status of the AWS CLI @throws ROKKA_NO_AWS_PROFILE, ROKKA_NO_AWS_CLI */
export async function aws(args: Arguments): Promise<number> {
  const own = environmentOf(args.dataDirectory);
  const {
    AWS_ACCESS_KEY_ID: _key,
    AWS_SECRET_ACCESS_KEY: _secret,
    AWS_SESSION_TOKEN: _token,
    ...rest
  } = process.env;
  const ended = new Deferred<number>();
  // Older versions know the address neither from the environment nor from the profile.
  const child = spawn('aws', ['--endpoint-url', own.AWS_ENDPOINT_URL, ...args.words], {
    stdio: 'inherit',
    env: { ...rest, ...own },
  });
  child.once('error', (error: NodeJS.ErrnoException) =>
    ended.reject(rokkaErrors.ROKKA_NO_AWS_CLI([error.code ?? error.message], { cause: error })),
  );
  child.once('exit', (code) => ended.resolve(code ?? 1));
  return ended.promise;
}

function environmentOf(directory: string) {
  const at = path.join(dataPaths.aws(directory));
  const [config, credentials] = [path.join(at, 'config'), path.join(at, 'credentials')];
  const url = fs.existsSync(config)
    ? /^endpoint_url = (\S+)$/m.exec(fs.readFileSync(config, 'utf8'))?.[1]
    : undefined;
  if (url === undefined) throw rokkaErrors.ROKKA_NO_AWS_PROFILE([directory]);
  return {
    AWS_CONFIG_FILE: config,
    AWS_SHARED_CREDENTIALS_FILE: credentials,
    AWS_PROFILE: PROFILE,
    AWS_ENDPOINT_URL: url,
  };
}

/** For a POSIX shell. */
function quoted(value: string): string {
  return /^[\w./:@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
