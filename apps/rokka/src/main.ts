#!/usr/bin/env node
/** The command `rokka`: reads the arguments and hands over to the command's own file. */
import { describeError, isCoded } from '@rokka/kernel';
import { HELP, parseArguments, type Arguments } from './arguments.ts';
import { useCompileCache } from './compile-cache.ts';
import { rokkaErrors } from './errors.ts';

/** Each is loaded when it is asked for. */
const COMMANDS = new Map<string, (args: Arguments) => Promise<number>>([
  ['up', async (args) => (await import('./commands/up.ts')).up(args)],
  ['status', async (args) => (await import('./commands/status.ts')).status(args)],
  ['stop', async (args) => (await import('./commands/stop.ts')).stop(args)],
  ['doctor', async (args) => (await import('./commands/doctor.ts')).doctor(args)],
  ['node', async (args) => (await import('./commands/node.ts')).node(args)],
  ['database', async (args) => (await import('./commands/database.ts')).database(args)],
  ['simulate', async (args) => (await import('./commands/simulate.ts')).simulate(args)],
  ['token', async (args) => (await import('./commands/token.ts')).token(args)],
  ['join', async (args) => (await import('./commands/join.ts')).join(args)],
  ['env', async (args) => (await import('./commands/aws.ts')).env(args)],
  ['aws', async (args) => (await import('./commands/aws.ts')).aws(args)],
  ['help', help],
]);
const MISUSES = ['ROKKA_UNKNOWN_COMMAND', 'ROKKA_BAD_FLAG', 'ROKKA_BAD_VALUE', 'REGISTRY_BAD_LOCATION'];

/** @returns the exit status: 0 done, 1 failed, 2 wrong arguments */
async function main(): Promise<number> {
  try {
    const args = parseArguments(process.argv.slice(2));
    const command = COMMANDS.get(args.help ? 'help' : args.command);
    if (!command) throw rokkaErrors.ROKKA_UNKNOWN_COMMAND([args.command]);
    useCompileCache(args.dataDirectory);
    return await command(args);
  } catch (error) {
    return complain(error);
  }
}

/** One line with a code, whatever it is. @returns the exit status */
function complain(error: unknown): number {
  const coded = isCoded(error) ? error : rokkaErrors.ROKKA_UNEXPECTED([describeError(error)]);
  process.stderr.write(`rokka: ${describeError(coded).replaceAll(/\s*\n\s*/g, '; ')}\n`);
  if (process.env['ROKKA_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return MISUSES.includes(coded.code) ? 2 : 1;
}

async function help(): Promise<number> {
  process.stdout.write(HELP);
  return 0;
}

// Nobody reads any more (`rokka status | head`): no reason to fail, and for `up` none to end.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
const unexpected = (error: unknown) => process.exit(complain(error));
process.on('uncaughtException', unexpected);
process.on('unhandledRejection', unexpected);
process.exitCode = await main();
