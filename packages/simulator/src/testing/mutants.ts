/** The deliberate bugs that the code knows (kernel's mutants), and within how many seeds, from 1 on, each must be caught. */
export interface Mutant {
  readonly name: string;
  /** Number in the list of traps (docs/mutants.md). */
  readonly trap: number;
  readonly seeds: number;
}

export const MUTANTS: readonly Mutant[] = [];
