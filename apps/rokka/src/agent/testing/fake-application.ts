/**
 * A program on a volume, and what an agent that is killed leaves of it: it outlives every agent, it does as a test says, and it has its files only
 * where a volume is mounted.
 */
import type {
  Application,
  ApplicationKind,
  ApplicationNote,
  Stopped,
  StoppedNotes,
  Writer,
  WriterKind,
} from '@rokka/snapshots';

/** `hang`: for ever, whatever it is told; `die`: the agent ends before it, or `dieAfter` it; `comesBack`: somebody else starts it at once, or so that nobody can
 * start it again (`comesBackFixed`). */
export type Behaviour = 'refuse' | 'throw' | 'hang' | 'die' | 'dieAfter' | 'comesBack' | 'comesBackFixed';
/** The first that is called counts, then the next; what is used up goes well. */
export type Behaviours = Partial<Record<'stop' | 'start' | 'end' | 'answer', (Behaviour | 'well')[]>>;

export class FakeApplication {
  readonly name: string;
  /** What it has its files on; undefined where it does not run. */
  runsOn: string | undefined;
  readonly behaviours: Behaviours;
  /** How often. */
  ends = 0;
  #isFixed = false;
  readonly #of: { look(): string | undefined; kill(): void };

  /** @param of.look what is mounted where its files are */
  constructor(name: string, of: { look(): string | undefined; kill(): void; behaviours?: Behaviours }) {
    this.name = name;
    this.#of = of;
    this.behaviours = of.behaviours ?? {};
    this.runsOn = of.look();
  }

  /** As one agent sees it: when that one has died it does nothing any more. */
  kind(ending: AbortSignal): ApplicationKind {
    const { name } = this;
    const from = (note: ApplicationNote) => this.#as(note, ending);
    return {
      name,
      find: async () => ({
        applications:
          this.runsOn === undefined || this.#isFixed
            ? []
            : [from({ kind: name, id: name, name, details: undefined })],
        immovable: this.#isFixed ? [{ pid: 7, why: `${name} is confined` }] : [],
      }),
      from,
    };
  }

  /** Whoever can ask it. */
  writerKind(): WriterKind {
    return {
      name: this.name,
      discover: async () => {
        if (this.runsOn === undefined || this.behaviours.answer?.shift() === 'refuse') return [];
        const identify = async () => [{ name: this.name, paths: [`/${this.name}`] }];
        return [{ id: this.name, identify, async [Symbol.asyncDispose]() {} } as unknown as Writer];
      },
    };
  }

  #as(note: ApplicationNote, ending: AbortSignal): Application {
    const act = async (step: 'stop' | 'start' | 'end', done: () => void) => {
      ending.throwIfAborted();
      const behaviour = this.behaviours[step]?.shift() ?? 'well';
      if (behaviour === 'die') this.#of.kill();
      ending.throwIfAborted();
      if (behaviour === 'throw') throw new TypeError('it has a bug');
      if (behaviour === 'refuse') throw Object.assign(new Error('it does not want to'), { code: 'REFUSED' });
      if (behaviour === 'hang') await new Promise(() => {});
      done();
      this.#isFixed = behaviour === 'comesBackFixed';
      if (behaviour === 'comesBack' || this.#isFixed) this.runsOn = this.#of.look();
      if (behaviour === 'dieAfter') this.#of.kill();
      ending.throwIfAborted();
    };
    return {
      note,
      owns: async () => false,
      stop: () => act('stop', () => (this.runsOn = undefined)),
      start: () =>
        act('start', () => {
          this.runsOn ??= this.#of.look();
          if (this.runsOn === undefined) throw Object.assign(new Error('no files'), { code: 'NO_FILES' });
        }),
      end: () => {
        this.ends++;
        return act('end', () => (this.runsOn = undefined));
      },
      whyDown: async () => (this.runsOn === undefined ? 'it has ended' : undefined),
    };
  }
}

/** On a disk: what was written stays when the agent dies. */
export class FakeNotes {
  stopped: Stopped | undefined;
  writes = 0;
  /** By the number of the change, the first of which is 0. */
  faults: Readonly<Record<number, 'die' | 'dieAfter'>> = {};

  of(ending: AbortSignal, kill: () => void): StoppedNotes {
    const change = (stopped: Stopped | undefined) => {
      ending.throwIfAborted();
      const fault = this.faults[this.writes++];
      if (fault === 'die') kill();
      ending.throwIfAborted();
      this.stopped = stopped;
      if (fault === 'dieAfter') kill();
      ending.throwIfAborted();
    };
    return { where: 'the notes', write: change, read: () => this.stopped, remove: () => change(undefined) };
  }
}
