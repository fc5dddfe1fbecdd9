/** The child's side of helper-process.ts. */
import * as readline from 'node:readline';
import { describeError } from '@rokka/kernel';

export type Answer = { readonly value: unknown } | { readonly refused: string };

type Handlers = Readonly<Record<string, (details: never) => unknown>>;

/** Answers one line after the other. When the parent is gone, so is this process, and with it all that it holds. */
export function answerLines(handlers: Handlers): void {
  let last = Promise.resolve();
  const lines = readline.createInterface(process.stdin);
  lines.on('line', (line) => {
    last = last.then(() => answer(handlers, line));
  });
  lines.on('close', () => process.exit(0));
  process.stdout.on('error', () => process.exit(0));
}

async function answer(handlers: Handlers, line: string): Promise<void> {
  const details = JSON.parse(line) as { command: string };
  let said: Answer;
  try {
    said = { value: (await handlers[details.command](details as never)) ?? null };
  } catch (error) {
    said = { refused: error instanceof Error && error.message !== '' ? error.message : describeError(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
