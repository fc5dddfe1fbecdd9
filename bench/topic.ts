/** A topic of the bench: what it needs, what it is given, the rows that it answers. */
import { findPostgres, probeNativeSupport } from '@rokka/databases';
import { spawnSync } from 'node:child_process';
import type { Row } from './report.ts';
import type { Wish } from './rokka-lender.ts';
import type { RokkaSystem } from './rokka-system.ts';

export interface Plan {
  /** Empty, the topic's own; taken away after it. */
  readonly directory: string;
  /** Of which the median is taken. */
  readonly rounds: number;
  /** A point's length. */
  readonly seconds: number;
  /** Fewer and smaller points: all topics within three minutes. */
  readonly quick: boolean;
  /** Of pgbench. */
  readonly scale: number;
  readonly clients: readonly number[];
  /** Of the soak. */
  readonly minutes: number;
  /** After how much log a recovery is timed. */
  readonly logMegabytes: readonly number[];
  /** How much log a load has written before the head is killed. */
  readonly writtenMegabytes: readonly number[];
  /** One that runs. It is not the topic's to end, which may stop and start it. */
  rokka(wish: Wish): Promise<RokkaSystem>;
  say(text: string): void;
}

export interface Topic {
  /** Programs of the machine; without one of them the topic is skipped. */
  readonly programs?: readonly string[];
  /** Whether it runs native PostgreSQL. */
  readonly native?: boolean;
  rows(plan: Plan): Promise<Row[]>;
}

const PACKAGES: Record<string, string> = {
  pgbench: 'postgresql',
  psql: 'postgresql-client',
  etcd: 'etcd-server',
  nsenter: 'util-linux',
  dd: 'coreutils',
};

/** Why the topic cannot run here; undefined where it can. */
export async function whySkipped({ programs = [], native = false }: Topic): Promise<string | undefined> {
  const missing = programs.map(whyMissing).find((why) => why !== undefined);
  if (missing !== undefined || !native) return missing;
  const support = await probeNativeSupport();
  if (!support.possible) return 'native PostgreSQL cannot run here, see rokka doctor';
  return findPostgres().then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/** Undefined where the program is there. */
export function whyMissing(program: string): string | undefined {
  const { error } = spawnSync(program, ['--version'], { timeout: 10_000, stdio: 'ignore' });
  if (!error) return undefined;
  return `${program} is not installed (package ${PACKAGES[program] ?? program})`;
}
