#!/usr/bin/env node
/** The command `rokka`: reads the arguments and hands over to the command's own file. */
import { describeError, isCoded } from '@rokka/kernel';
import { HELP, parseArguments, type Arguments } from './arguments.ts';
import { doctor } from './commands/doctor.ts';
import { status } from './commands/status.ts';
import { stop } from './commands/stop.ts';
import { up } from './commands/up.ts';
import { rokkaErrors } from './errors.ts';

const COMMANDS: Record<string, (args: Arguments) => Promise<number>> = {
  up,
  status,
  stop,
  doctor,
  help: async () => {
    process.stdout.write(HELP);
    return 0;
  },
};

/** @returns the exit status: 0 done, 1 failed, 2 wrong arguments */
async function main(): Promise<number> {
  try {
    const args = parseArguments(process.argv.slice(2));
    const command = COMMANDS[args.help ? 'help' : args.command];
    if (!command) throw rokkaErrors.ROKKA_UNKNOWN_COMMAND([args.command]);
    return await command(args);
  } catch (error) {
    process.stderr.write(`rokka: ${describeError(error)}\n`);
    if (!isCoded(error) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    const misused = ['ROKKA_UNKNOWN_COMMAND', 'ROKKA_BAD_FLAG', 'ROKKA_BAD_VALUE'];
    return isCoded(error) && misused.includes(error.code) ? 2 : 1;
  }
}

process.exitCode = await main();
