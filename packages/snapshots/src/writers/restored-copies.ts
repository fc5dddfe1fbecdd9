/** What a verifier that starts servers does with the copies that it has found: one after the other, and one that fails keeps none from its turn. */
import type { Verdict, VerifyOptions } from '../verifier.ts';

export interface Tried {
  /** Why it is not clean; empty where it is. */
  readonly faults: readonly string[];
  /** What was seen. */
  readonly seen: string;
}

const FAULTS_TOLD_MAX = 5;
/** What a server says may have names and texts of the copy in it. */
const WORDS_CHARACTERS_MAX = 2_000;

/** @throws what is a programmer's mistake */
export async function verdictsOn<Copy extends { readonly what: string }>(
  copies: readonly Copy[],
  { signal }: Pick<VerifyOptions, 'signal'>,
  tryOut: (copy: Copy) => Promise<Tried>,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const copy of copies) {
    const { isClean, words } = await judged(copy, signal, tryOut);
    verdicts.push({ what: copy.what, isClean, words: words.slice(0, WORDS_CHARACTERS_MAX) });
  }
  return verdicts;
}

async function judged<Copy>(
  copy: Copy,
  signal: AbortSignal,
  tryOut: (copy: Copy) => Promise<Tried>,
): Promise<Omit<Verdict, 'what'>> {
  try {
    signal.throwIfAborted();
    const { faults, seen } = await tryOut(copy);
    return { isClean: faults.length === 0, words: [...told(faults), seen].join('; ') };
  } catch (error) {
    if (signal.aborted) return { isClean: false, words: 'there was no time for it' };
    if (typeof (error as { code?: unknown }).code !== 'string') throw error;
    return { isClean: false, words: (error as Error).message };
  }
}

function told(faults: readonly string[]): readonly string[] {
  const more = faults.length - FAULTS_TOLD_MAX;
  return more <= 0 ? faults : [...faults.slice(0, FAULTS_TOLD_MAX), `and ${more} more`];
}
