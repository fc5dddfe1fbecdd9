/** The deliberate bugs that the code knows (kernel's mutants), and within how many seeds, from 1 on, each must be caught. */
export interface Mutant {
  readonly name: string;
  readonly seeds: number;
}

export const MUTANTS: readonly Mutant[] = [
  { name: 'read-then-fence', seeds: 20 },
  { name: 'fence-not-durable', seeds: 100 },
  { name: 'serve-on-read-quorum', seeds: 20 },
  { name: 'fourth-highest-scl', seeds: 20 },
  { name: 'no-re-replication', seeds: 20 },
  { name: 'vcl-min-pgcl', seeds: 10 },
  { name: 'vcl-max-pgcl', seeds: 20 },
  { name: 'count-acks', seeds: 10 },
  { name: 'short-range', seeds: 40 },
  { name: 'reuse-lsns', seeds: 10 },
  { name: 'annulled-records-count', seeds: 40 },
  { name: 'scl-not-clipped', seeds: 40 },
  { name: 'ack-at-vcl', seeds: 20 },
  { name: 'coalesce-above-vdl', seeds: 10 },
  { name: 'ack-before-sync', seeds: 20 },
  { name: 'amnesia-accepted', seeds: 20 },
  { name: 'damage-is-low-scl', seeds: 40 },
  { name: 'read-point-not-translated', seeds: 10 },
  { name: 'evict-before-durable', seeds: 80 },
  { name: 'page-names-not-synced', seeds: 10 },
  { name: 'copy-not-asked-after', seeds: 100 },
  { name: 'or-reads', seeds: 10 },
  { name: 'finish-unchecked', seeds: 20 },
  { name: 'hydrating-is-empty', seeds: 20 },
  { name: 'drop-before-whole', seeds: 10 },
  { name: 'stale-membership-accepted', seeds: 10 },
  { name: 'membership-not-durable', seeds: 80 },
  { name: 'store-ignored', seeds: 40 },
];

/** Those that no schedule of the simulator is known to catch, and why: docs/mutants.md. */
export const UNCAUGHT: readonly string[] = ['revert-unchecked', 'read-floor-ignored'];
