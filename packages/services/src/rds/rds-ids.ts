/** Identifiers that are never used again. */
import type { Random } from '@rokka/kernel';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** `cluster-` or `db-`, and 26 letters and digits: 130 random bits. */
export const resourceId = (random: Random, kind: 'cluster' | 'db') =>
  `${kind}-${Array.from({ length: 26 }, () => LETTERS[random.below(LETTERS.length)]).join('')}`;

export const databaseName = (random: Random) => `c-${random.hex(8)}`;
