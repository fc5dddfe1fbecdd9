/**
 * Deliberate bugs for tests of the tests: a place in the code that a known trap concerns asks `mutant(name)` whether to
 * fall into it. Always false, unless a test has switched that one on for its own process; no flag, file or variable of the
 * environment can. docs/mutants.md lists them, with what catches each.
 */
const active = new Set<string>();

/** Whether the named bug is switched on. */
export function mutant(name: string): boolean {
  return active.size > 0 && active.has(name);
}

/** Runs a test's work with the named bugs switched on. */
export async function withMutants<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
  for (const name of names) active.add(name);
  try {
    return await work();
  } finally {
    for (const name of names) active.delete(name);
  }
}
