/**
 * Services of systemd that have files open on the volumes: each is stopped and started by the one who looks after it, who would otherwise start
 * it again meanwhile. Which service a process is of its control group says, which only root gives. Only where systemd is the first process.
 */
import * as fs from 'node:fs/promises';
import { snapshotErrors } from '../errors.ts';
import { runProgram } from '../writers/program.ts';
import type { Application, ApplicationKind, ApplicationNote, Immovable } from './application.ts';
import { cgroupOf } from './process-facts.ts';
import { serversOn, type ServerSpecies } from './servers.ts';

const KIND = 'systemd';
/** Those of users, and of containers, have managers of their own. */
const OTHERS = /^\/(user|machine)\.slice\//;
/** A service lies in slices alone. Below all else (`docker-….scope`, `lxc.payload`) the names are given by whoever is in there. */
const SERVICE = /^\/(?:[\w:.@\\-]+\.slice\/)*([\w:@\\][\w:.@\\-]*\.service)(?:\/|$)/;

export interface SystemdOptions {
  /** Of servers that have something on a volume and no file open there. */
  readonly species: readonly ServerSpecies[];
  /** For tests. */
  readonly machine?: SystemdMachine;
}

/** What is asked of the machine. */
export interface SystemdMachine {
  hasSystemd(): Promise<boolean>;
  /** Of a process, or of this one. */
  cgroup(pid: number | 'self'): Promise<string>;
  /** @returns why it did not go well */
  systemctl(args: readonly string[], signal: AbortSignal): Promise<string | undefined>;
  /** @returns units that systemd would stop with it, by one step; none where it cannot be asked */
  stoppedWith(unit: string, signal: AbortSignal): Promise<readonly string[]>;
}

export function systemd({ species, machine = thisMachine }: SystemdOptions): ApplicationKind {
  return {
    name: KIND,
    async find({ volumes, writing, signal }) {
      if (!(await machine.hasSystemd())) return { applications: [], immovable: [] };
      const servers = await Promise.all(species.map((each) => serversOn(each, volumes, signal)));
      const units = new Map<string, number>();
      // Whoever carries this out must not stop itself.
      const own = unitOf(await machine.cgroup('self'));
      for (const pid of [...writing, ...servers.flat().map((server) => server.pid)]) {
        const unit = unitOf(await machine.cgroup(pid));
        if (unit !== undefined && unit !== own) units.set(unit, pid);
      }
      const found: { applications: Application[]; immovable: Immovable[] } = {
        applications: [],
        immovable: [],
      };
      for (const [unit, pid] of units) {
        const others = await activeWith(machine, unit, signal);
        if (own !== undefined && others.includes(own))
          found.immovable.push({ pid, why: `${own}, which carries this out, would stop with ${unit}` });
        else found.applications.push(new SystemdService(noteOf(unit, others), machine));
      }
      return found;
    },
    from: (note) => new SystemdService(note as UnitNote, machine),
  };
}

/** Undefined where it is of no service of the machine. */
export function unitOf(cgroup: string): string | undefined {
  if (OTHERS.test(cgroup)) return undefined;
  return SERVICE.exec(cgroup)?.[1];
}

const UNITS_MAX = 100;

/** Those that run and need it go down with it, and would stay down when it is started alone. */
async function activeWith(machine: SystemdMachine, unit: string, signal: AbortSignal): Promise<string[]> {
  const all = new Set([unit]);
  for (const each of all)
    for (const other of await machine.stoppedWith(each, signal)) if (all.size < UNITS_MAX) all.add(other);
  all.delete(unit);
  const active: string[] = [];
  for (const each of all) if (await isActive(machine, each, signal)) active.push(each);
  return active;
}

async function isActive(machine: SystemdMachine, unit: string, signal: AbortSignal): Promise<boolean> {
  return (await machine.systemctl(['is-active', '--quiet', '--', unit], signal)) === undefined;
}

interface UnitDetails {
  readonly unit: string;
  /** That ran and go down with it. */
  readonly others: readonly string[];
}

type UnitNote = ApplicationNote & { readonly details: UnitDetails };

const noteOf = (unit: string, others: readonly string[]): UnitNote => ({
  kind: KIND,
  id: `${KIND}:${unit}`,
  name: `the service ${[unit, ...others].join(', ')}`,
  details: { unit, others },
});

class SystemdService implements Application {
  readonly note: UnitNote;
  readonly #machine: SystemdMachine;

  constructor(note: UnitNote, machine: SystemdMachine) {
    this.note = note;
    this.#machine = machine;
  }

  get #unit(): string {
    return this.note.details.unit;
  }

  get #all(): readonly string[] {
    return [this.#unit, ...this.note.details.others];
  }

  async owns(pid: number): Promise<boolean> {
    const unit = unitOf(await this.#machine.cgroup(pid));
    return unit !== undefined && this.#all.includes(unit);
  }

  async stop(signal: AbortSignal): Promise<void> {
    const failure = await this.#machine.systemctl(['stop', '--', this.#unit], signal);
    signal.throwIfAborted();
    if (failure !== undefined) throw snapshotErrors.SNAPSHOTS_APPLICATION_STAYS([this.note.name, failure]);
  }

  async start(signal: AbortSignal): Promise<void> {
    // One that is stopping still is started when it has stopped.
    const failure = await this.#machine.systemctl(['start', '--', ...this.#all], signal);
    signal.throwIfAborted();
    if (failure !== undefined) throw snapshotErrors.SNAPSHOTS_APPLICATION_DOWN([this.note.name, failure]);
  }

  async whyDown(): Promise<string | undefined> {
    // One that has ended without a failure, or is to be started once more, does not run either.
    for (const unit of this.#all)
      if (!(await isActive(this.#machine, unit, new AbortController().signal)))
        return `${unit} is not active: see systemctl status ${unit}`;
    return undefined;
  }

  async end(signal: AbortSignal): Promise<void> {
    await this.#machine.systemctl(['stop', '--', this.#unit], signal);
  }
}

const SYSTEMCTL_MS_MAX = 300_000;
/** Those that systemd stops with a unit (systemd.unit(5)). */
const STOPPED_WITH = 'RequiredBy,RequisiteOf,BoundBy,ConsistsOf,PropagatesStopTo';
const UNIT = /^[\w:@\\][\w:.@\\-]*$/;

const thisMachine: SystemdMachine = {
  async hasSystemd() {
    return fs.stat('/run/systemd/system').then(
      (stat) => stat.isDirectory(),
      () => false,
    );
  },
  async cgroup(pid) {
    return cgroupOf(await fs.readFile(`/proc/${pid}/cgroup`, 'latin1').catch(() => ''));
  },
  async systemctl(args, signal) {
    const { failure, output } = await runProgram('systemctl', ['--no-ask-password', ...args], {
      signal,
      timeoutMs: SYSTEMCTL_MS_MAX,
    });
    return failure === undefined ? undefined : `systemctl ${args.join(' ')} ${failure}; it said: ${output}`;
  },
  async stoppedWith(unit, signal) {
    const args = ['show', `--property=${STOPPED_WITH}`, '--value', '--', unit];
    const { failure, output } = await runProgram('systemctl', args, { signal, timeoutMs: SYSTEMCTL_MS_MAX });
    return failure === undefined ? output.split(/\s+/).filter((word) => UNIT.test(word)) : [];
  },
};
