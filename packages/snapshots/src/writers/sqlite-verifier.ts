/** Whether SQLite databases on restored volumes are whole, and open without recovering anything. */
import type { Verdict, Verifier } from '../verifier.ts';
import { tryRestoredSqlite } from './sqlite.ts';
import type { RestoredSqlite } from './sqlite-helper.ts';

export const sqliteVerifier: Verifier = {
  name: 'sqlite',
  async verify(options) {
    return (await tryRestoredSqlite(options)).map(verdictOn);
  },
};

function verdictOn({ path, logBytes, hotJournal, integrity, isRefused }: RestoredSqlite): Verdict {
  const faults = [
    ...(integrity === 'ok' ? [] : [`${isRefused ? 'it was not opened' : 'it is damaged'}: ${integrity}`]),
    ...(hotJournal ? ['a transaction was rolled back'] : []),
    ...(logBytes > 0 ? [`a log of ${logBytes} bytes was read`] : []),
  ];
  const isClean = faults.length === 0;
  return { what: path, isClean, words: isClean ? 'whole, with nothing to recover' : faults.join('; ') };
}
