/** A promise of the protocol was broken: which (aurora.md §15), and what was seen. The run ends with it. */
export class BrokenInvariant extends Error {
  override name = 'BrokenInvariant';
  /** `I1` to `I16`, `I17` (oracles/take-overs.ts), or `crash` where a process failed an assertion of its own. */
  readonly invariant: string;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** @throws BrokenInvariant unless `condition` holds */
export function demand(condition: boolean, invariant: string, what: () => string): asserts condition {
  if (!condition) throw new BrokenInvariant(invariant, what());
}
