/**
 * The search by hand (docs/model.md):
 *
 *   node packages/quorum/src/testing/model/main.ts --changes 1 --openings 2 --acks 'at once' --minutes 20
 *   node packages/quorum/src/testing/model/main.ts --mutants --minutes 2
 *   node packages/quorum/src/testing/model/main.ts --walks 1000 --openings 4 --changes 3 --records 2 --force
 *
 * Every field of `Bounds` is an option. Ends with 1 where an invariant falls, and prints a shortest way there.
 */
import { parseArgs } from 'node:util';
import { type Bounds, DEFAULT_BOUNDS } from './bounds.ts';
import { deadEnd } from './liveness.ts';
import { type Mutant, mutants } from './mutants.ts';
import { search, type SearchResult } from './search.ts';
import { describeTrace } from './trace.ts';
import { walks } from './walks.ts';

const { values } = parseArgs({
  options: {
    group: { type: 'string' },
    openings: { type: 'string' },
    records: { type: 'string' },
    changes: { type: 'string' },
    newcomers: { type: 'string' },
    gossip: { type: 'string' },
    acks: { type: 'string' },
    force: { type: 'boolean' },
    'give-up': { type: 'boolean' },
    overtaking: { type: 'boolean' },
    hints: { type: 'boolean' },
    'lost-answers': { type: 'boolean' },
    /** Wall clock for one search. */
    minutes: { type: 'string', default: '10' },
    'states-max': { type: 'string', default: '60000000' },
    /** Every so many states it is tried whether anything still works; 0 for never. */
    'live-every': { type: 'string', default: '0' },
    mutants: { type: 'boolean', default: false },
    /** So many random walks instead of a search. */
    walks: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'steps-max': { type: 'string', default: '150' },
    /** With --mutants: only those whose name has this in it, and how each is found. */
    mutant: { type: 'string' },
  },
});

function bounds(): Bounds {
  const numbers = ['openings', 'records', 'changes', 'newcomers'] as const;
  const given = numbers.flatMap((name) => (values[name] === undefined ? [] : [[name, Number(values[name])]]));
  return {
    ...DEFAULT_BOUNDS,
    ...(Object.fromEntries(given) as Partial<Bounds>),
    group: values.group === 'full-tail' ? 'full-tail' : 'all-full',
    acks: values.acks === 'at once' ? 'at once' : 'late',
    gossip: values.gossip === 'newcomers' ? 'newcomers' : 'all',
    force: values.force === true,
    giveUp: values['give-up'] === true,
    overtaking: values.overtaking === true,
    hints: values.hints === true,
    lostAnswers: values['lost-answers'] === true,
  };
}

function run(of: { bounds: Bounds; mutant?: Mutant; quiet: boolean }): SearchResult {
  const startMs = Date.now();
  const every = Number(values['live-every']);
  let tried = 0;
  const result = search({
    bounds: of.bounds,
    ...(of.mutant ? { rules: of.mutant.rules } : {}),
    statesMax: Number(values['states-max']),
    isOver: () => Date.now() - startMs > Number(values.minutes) * 60_000,
    onLevel({ depth, states, frontier }) {
      const line = `depth ${depth}: ${states} states, ${frontier} to go on from, ${rss()} MiB`;
      if (!of.quiet) console.log(line);
    },
    examine(cores, state, index) {
      if (every === 0 || index % every !== 0) return;
      const pair = ++tried % 3;
      for (const lost of [[], [pair, 5 - pair]]) {
        if (deadEnd(cores, of.bounds, state, lost))
          throw new Error(`state ${index} is a dead end without ${lost.join()}`);
      }
    },
  });
  const seconds = ((Date.now() - startMs) / 1000).toFixed(0);
  const end = result.complete ? 'all there are' : `levels to ${result.depth} are whole`;
  if (!of.quiet)
    console.log(
      `${result.states} states (${end}), ${result.transitions} steps, depth ${result.depth}, ${seconds} s, ` +
        `${rss()} MiB; ${tried} looked at for dead ends`,
    );
  return result;
}

function rss(): number {
  return Math.round(process.memoryUsage().rss / 2 ** 20);
}

function show(result: SearchResult, of: Bounds): void {
  const { violation, cores } = result;
  if (!violation) return;
  for (const line of describeTrace(cores, of, violation.trace)) console.log(line);
  const next = violation.steps === violation.trace.length ? 'The next step shows it. ' : '';
  console.log(`${next}${violation.invariant}: ${violation.message}`);
}

if (values.mutants) {
  for (const mutant of mutants.filter(({ name }) => name.includes(values.mutant ?? ''))) {
    const result = run({ bounds: mutant.bounds, mutant, quiet: true });
    const { violation, states, depth, complete } = result;
    const found = violation ? `${violation.invariant} in ${violation.steps} steps` : 'nothing';
    const as = violation?.invariant === mutant.breaks ? '' : `, expected ${mutant.breaks ?? 'nothing'}`;
    console.log(`${mutant.name}: ${found}${as}; ${states} states, ${complete ? 'all' : `depth ${depth}`}`);
    if (values.mutant !== undefined) show(result, mutant.bounds);
    if (violation?.invariant !== mutant.breaks) process.exitCode = 1;
  }
} else if (values.walks !== undefined) {
  const startMs = Date.now();
  const result = walks({
    bounds: bounds(),
    seed: Number(values.seed),
    count: Number(values.walks),
    stepsMax: Number(values['steps-max']),
    isOver: () => Date.now() - startMs > Number(values.minutes) * 60_000,
  });
  const taken = Object.entries(result.taken).map(([kind, count]) => `${kind} ${count}`);
  console.log(`${result.walks} walks, ${result.steps} steps: ${taken.join(', ')}`);
  if (result.violation) {
    const { invariant, message, trace, cores } = result.violation;
    console.log(`${invariant}: ${message}`);
    for (const line of describeTrace(cores, bounds(), trace)) console.log(line);
    process.exitCode = 1;
  }
} else {
  const result = run({ bounds: bounds(), quiet: false });
  show(result, bounds());
  if (result.violation) process.exitCode = 1;
}
