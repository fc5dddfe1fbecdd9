/** Whether PostgreSQL starts on restored data directories, and what it has to redo. */
import type { Verifier } from '../verifier.ts';
import { findRestoredPostgres, tryStart } from './postgresql-restored.ts';
import { verdictsOn } from './restored-copies.ts';

export const postgresqlVerifier: Verifier = {
  name: 'postgresql',
  async verify(options) {
    const found = await findRestoredPostgres(options);
    const copies = found.map((directory) => ({ what: `PostgreSQL at ${directory}`, directory }));
    return verdictsOn(copies, options, async ({ directory }) => {
      const { redoBytes } = await tryStart(directory, options);
      return { faults: [], seen: `it starts, after ${redoBytes} bytes of its log` };
    });
  },
};
