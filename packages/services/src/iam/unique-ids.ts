/** Identifiers and secrets in the shapes that AWS gives them (IAM User Guide, "Unique identifiers"). */
import type { Random } from '@rokka/kernel';

const ID_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const SECRET_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** What an id begins with, by kind of thing. */
export type IdPrefix = 'AIDA' | 'AGPA' | 'AROA' | 'ANPA' | 'AIPA';

const letters = (random: Random, from: string, count: number) =>
  Array.from({ length: count }, () => from[random.below(from.length)]).join('');

/** 21 characters; 85 random bits. */
export const uniqueId = (random: Random, prefix: IdPrefix) => prefix + letters(random, ID_LETTERS, 17);

/** 20 characters: `AKIA` for long-term keys, `ASIA` for temporary ones. */
export const accessKeyId = (random: Random, prefix: 'AKIA' | 'ASIA') =>
  prefix + letters(random, ID_LETTERS, 16);

/** 40 characters; 240 random bits. */
export const secretKey = (random: Random) => letters(random, SECRET_LETTERS, 40);

/** 356 characters; it means nothing, and is compared only. */
export const sessionToken = (random: Random) => letters(random, SECRET_LETTERS, 356);

/** Twelve digits. */
export const accountId = (random: Random) => String(1 + random.below(9)) + letters(random, '0123456789', 11);
