/** The password that a database is made with, and that its clients have. */
import * as fs from 'node:fs';
import { secretFile } from '@rokka/databases';
import { dataPaths } from '../data-directory.ts';

/** Of a database's superuser. @throws what the system says where there is none */
export function passwordOf(directory: string, database: string): string {
  return fs.readFileSync(secretFile(dataPaths.secrets(directory), database), 'utf8').trim();
}
