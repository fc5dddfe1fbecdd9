/** Rokka as its users run it: the command, on a data directory of its own. */
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { treeCpuSeconds, type BenchSystem, type Counters } from './system.ts';

export const MAIN = path.resolve(import.meta.dirname, '../apps/rokka/src/main.ts');
const run = promisify(execFile);

interface Status {
  shipped?: Counters;
}

export async function rokka(options: {
  name?: string;
  directory: string;
  port: number;
  engine: 'native' | 'pglite';
  settings?: Record<string, string>;
}): Promise<BenchSystem> {
  const data = path.join(options.directory, `rokka-${options.engine}`);
  const common = ['--data', data];
  const settings = Object.entries(options.settings ?? {}).flatMap(([name, value]) => [
    '--set',
    `${name}=${value}`,
  ]);
  const args = [
    MAIN,
    'up',
    ...common,
    '--port',
    String(options.port),
    '--engine',
    options.engine,
    ...settings,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-8000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const status = async (): Promise<Status> => {
    const { stdout } = await run(process.execPath, [MAIN, 'status', ...common, '--json'], {
      timeout: 10_000,
    });
    return JSON.parse(stdout) as Status;
  };
  for (let waitedMs = 0; !/postgres(ql)?:\/\//.test(output); waitedMs += 100) {
    if (child.exitCode !== null || waitedMs > 90_000)
      throw new Error(`rokka up did not get ready:\n${output}`);
    await sleep(100);
  }
  return {
    name: options.name ?? `Rokka, ${options.engine}`,
    host: '127.0.0.1',
    port: options.port,
    password: readFileSync(path.join(data, 'secrets', 'postgres-password'), 'utf8').trim(),
    cpuSeconds: () => treeCpuSeconds([child.pid ?? 0]),
    counters: async () => (await status()).shipped,
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      await Promise.race([ended, sleep(30_000).then(() => child.kill('SIGKILL'))]);
    },
  };
}
