/**
 * What was seen on the way of a snapshot set, step by step: kept on the machine where `CollectDiagnosticLogs` asks for it, for whoever
 * looks for what a course waited for. It lies beside the agent's other files, and not on a volume that may be held. Root's alone: it
 * names files and positions of applications.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { Clock } from '@rokka/kernel';
import type { Coordination } from '@rokka/snapshots';

const KEPT = 20;
/** A course has some dozens; one that turns for ever does not fill the disk. */
const LINES_MAX = 10_000;

export class DiagnosticLog {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #lines: string[];
  #last = '';

  constructor(clock: Clock, about: { command: string; instance: string; request: unknown }) {
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    const { command, instance, request } = about;
    const at = new Date(clock.wallMs()).toISOString();
    this.#lines = [`${at} command ${command}, instance ${instance}: ${JSON.stringify(request)}`];
  }

  /** The course has gone on. What is as it was is not said again. */
  turn({ step, tier, writers, doubts, veto, set }: Coordination): void {
    const states = writers.map(
      ({ id, state, why }) => `${id} ${state}${why === undefined ? '' : ` (${why})`}`,
    );
    const more = [
      ...(set ? [`set ${set.id}`] : []),
      ...(veto ? [`veto of ${veto.who}: ${veto.why}`] : []),
      ...doubts.map((doubt) => `doubt: ${doubt}`),
    ];
    const what = [`${step}, tier ${tier}`, ...states, ...more].join('; ');
    if (what === this.#last) return;
    this.#last = what;
    this.note(what);
  }

  note(what: string): void {
    if (this.#lines.length >= LINES_MAX) return;
    const ms = Math.round(this.#clock.nowMs() - this.#startedMs);
    this.#lines.push(`${String(ms).padStart(8)} ms ${what}`);
  }

  /** Writes it to `directory`, where the newest ones stay. Answers where it is. @throws what the file system refuses with */
  async keep(directory: string, command: string): Promise<string> {
    await fs.mkdir(directory, { recursive: true, mode: 0o700 });
    const file = path.join(directory, `${this.#clock.wallMs()}-${command}.log`);
    await fs.writeFile(file, `${this.#lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
    const names = (await fs.readdir(directory)).filter((name) => /^\d+-[\w-]+\.log$/.test(name));
    names.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
    for (const name of names.slice(KEPT)) await fs.rm(path.join(directory, name), { force: true });
    return file;
  }
}
