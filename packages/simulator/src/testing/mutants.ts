/** The deliberate bugs that the code knows (kernel's mutants), and within how many seeds, from 1 on, each must be caught. */
export interface Mutant {
  readonly name: string;
  readonly seeds: number;
  /** The invariant that the first of them breaks, or `crash`. */
  readonly breaks: string;
}

export const MUTANTS: readonly Mutant[] = [
  { name: 'read-then-fence', seeds: 20, breaks: 'I8' },
  { name: 'fence-not-durable', seeds: 100, breaks: 'I8' },
  { name: 'serve-on-read-quorum', seeds: 20, breaks: 'I6' },
  { name: 'fourth-highest-scl', seeds: 20, breaks: 'I6' },
  { name: 'no-re-replication', seeds: 20, breaks: 'I6' },
  { name: 'vcl-min-pgcl', seeds: 10, breaks: 'I16' },
  { name: 'vcl-max-pgcl', seeds: 20, breaks: 'I6' },
  { name: 'count-acks', seeds: 10, breaks: 'I5' },
  { name: 'short-range', seeds: 40, breaks: 'I14' },
  { name: 'reuse-lsns', seeds: 10, breaks: 'I14' },
  { name: 'annulled-records-count', seeds: 80, breaks: 'crash' },
  { name: 'scl-not-clipped', seeds: 40, breaks: 'crash' },
  { name: 'ack-at-vcl', seeds: 20, breaks: 'I3' },
  { name: 'coalesce-above-vdl', seeds: 10, breaks: 'crash' },
  { name: 'ack-before-sync', seeds: 20, breaks: 'I5' },
  { name: 'amnesia-accepted', seeds: 20, breaks: 'I11' },
  { name: 'damage-is-low-scl', seeds: 70, breaks: 'I5' },
  { name: 'read-point-not-translated', seeds: 10, breaks: 'I16' },
  { name: 'evict-before-durable', seeds: 80, breaks: 'I12' },
  { name: 'page-names-not-synced', seeds: 20, breaks: 'I16' },
  { name: 'copy-not-asked-after', seeds: 150, breaks: 'I16' },
  { name: 'or-reads', seeds: 10, breaks: 'I10' },
  { name: 'finish-unchecked', seeds: 20, breaks: 'I11' },
  { name: 'hydrating-is-empty', seeds: 20, breaks: 'I10' },
  { name: 'drop-before-whole', seeds: 10, breaks: 'I11' },
  { name: 'stale-membership-accepted', seeds: 10, breaks: 'I8' },
  { name: 'membership-not-durable', seeds: 80, breaks: 'I8' },
  { name: 'store-ignored', seeds: 40, breaks: 'I16' },
  { name: 'claim-unchecked', seeds: 100, breaks: 'I17' },
  { name: 'ram-log-forgets', seeds: 20, breaks: 'I17' },
  { name: 'ram-log-one-half', seeds: 40, breaks: 'I17' },
  { name: 'ranges-replaced', seeds: 30, breaks: 'I2' },
  { name: 'ranges-forgotten', seeds: 60, breaks: 'I16' },
  { name: 'any-place', seeds: 30, breaks: 'I10' },
  { name: 'group-before-quorum', seeds: 30, breaks: 'I10' },
  { name: 'read-window-ignored', seeds: 40, breaks: 'I12' },
  { name: 'incomplete-serves', seeds: 30, breaks: 'I12' },
  { name: 'every-record-a-cpl', seeds: 40, breaks: 'I3' },
  { name: 'limit-plus-one', seeds: 90, breaks: 'I14' },
  { name: 'openings-unsigned', seeds: 110, breaks: 'I16' },
];
