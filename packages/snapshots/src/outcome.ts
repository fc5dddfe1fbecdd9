/** What a snapshot is worth, from its course: never more than what every writer said and kept. Pure. */
import { type Coordination, type WriterFacts } from './coordination.ts';
import type { SnapshotSetResult } from './provider.ts';
import { type Level, LEVELS } from './writer.ts';

export interface Outcome {
  /** Absent where there is none, as far as is known. */
  readonly set?: SnapshotSetResult;
  /** Of the set. `application`: nothing that was found has anything to recover. */
  readonly level?: Level;
  /** Why the level is not `application`, or why there is no set; in words, the first cause first. */
  readonly reasons: readonly string[];
  readonly writers: readonly WriterFacts[];
  readonly frozenForMs?: number;
}

/**
 * @param of.strays programs that write on the volumes and that no writer speaks for: what they have there is as a machine that lost
 * power would leave it, though its filesystem is clean
 * @param of.withoutWriters nobody looked for applications, because nobody was to
 */
export function outcomeOf(
  course: Coordination,
  of: { strays: readonly string[]; withoutWriters: boolean },
): Outcome {
  const { set, veto, doubts, writers, frozenForMs } = course;
  const refused = veto ? [`${veto.who} at ${veto.step}: ${veto.why}`] : [];
  const lesser = writers
    .filter((writer) => speaks(writer) && writer.frozen && writer.frozen.level !== 'application')
    .map(({ id, frozen }) =>
      [`${id} reached the level ${frozen?.level}`, ...(frozen?.why === undefined ? [] : [frozen.why])].join(
        ': ',
      ),
    );
  const strays = of.strays.map((stray) => `no writer speaks for ${stray}`);
  if (of.withoutWriters) strays.push('applications were not asked');
  if (writers.length === 0) strays.push('nobody had the kernel write out what it holds');
  const level = refused.length + doubts.length > 0 ? 'crash' : lowest(writers, strays.length > 0);
  const reasons = level === 'application' ? [] : [...refused, ...doubts, ...lesser, ...strays];
  return {
    ...(set && { set, level }),
    reasons,
    writers,
    ...(frozenForMs !== undefined && { frozenForMs }),
  };
}

/** One without components, which writes out what the kernel holds, speaks for no application. */
const speaks = ({ components }: WriterFacts) => components.length > 0;

/** Without any writer not even the kernel has written out what it holds. */
function lowest(writers: readonly WriterFacts[], hasStrays: boolean): Level {
  if (writers.length === 0) return 'crash';
  const levels = writers.filter(speaks).map(({ frozen }) => LEVELS.indexOf(frozen?.level ?? 'crash'));
  const most = hasStrays ? LEVELS.indexOf('filesystem') : LEVELS.length - 1;
  return LEVELS[Math.min(most, ...levels)] ?? 'crash';
}
