/** Where a machine that joined listened last, in its own directory: the flag may be left out the next time. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '../data-directory.ts';
import { formatListen, type ListenAddress, parseListen } from './listen-address.ts';

const fileIn = (directory: string) => path.join(directory, 'listen');

/** Undefined where it never did. @throws ROKKA_BAD_VALUE where somebody changed the file */
export function listenIn(directory: string): ListenAddress | undefined {
  const file = fileIn(directory);
  return fs.existsSync(file) ? parseListen(fs.readFileSync(file, 'utf8').trim()) : undefined;
}

export function rememberListen(directory: string, listen: ListenAddress): void {
  writeDurably(fileIn(directory), `${formatListen(listen)}\n`);
}
