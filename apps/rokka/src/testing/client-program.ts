/** psql and pgbench, as people have them, against a cluster under test. */
import { spawn, spawnSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '@rokka/kernel';
import type { RokkaUnderTest } from './rokka-under-test.ts';

/** Why a test with these programs cannot run here; false where it can. */
export function withoutPrograms(...names: readonly string[]): string | false {
  const missing = names.filter((name) => spawnSync(name, ['--version']).status !== 0);
  return missing.length > 0 && `${missing.join(' and ')} not found in PATH (Debian: postgresql-client)`;
}

/** What the program wrote to its standard output. Rejects with its errors where it fails. */
export async function runProgram(
  rokka: RokkaUnderTest,
  [program, ...args]: readonly [string, ...string[]],
  options: { timeoutMs: number; input?: AsyncIterable<string> },
): Promise<string> {
  const { host, port, user, database, password } = rokka.connection();
  const child = spawn(program, args, {
    stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGDATABASE: database,
      PGPASSWORD: String(password),
      PGCONNECT_TIMEOUT: '60',
    },
  });
  let out = '';
  let err = '';
  child.stdout?.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stderr?.on('data', (bytes: Buffer) => (err += bytes.toString()));
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
  const cancel = systemClock.after(options.timeoutMs, () => void child.kill('SIGKILL'));
  try {
    // Where the program ends early, its own words say more than the broken pipe.
    const fed = options.input && child.stdin && pipeline(Readable.from(options.input), child.stdin);
    const [status, feeding] = await Promise.all([closed, fed?.catch((error: unknown) => error)]);
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: status ${status}\n${out}${err}`);
    if (feeding !== undefined) throw feeding;
    return out;
  } finally {
    cancel();
  }
}
