/**
 * Services of systemd that have files open on the volumes: each is stopped and started by the one who looks after it, who would otherwise start
 * it again meanwhile. Which service a process is of its control group says, which only root gives. Only where systemd is the first process.
 */
import * as fs from 'node:fs/promises';
import { snapshotErrors } from '../errors.ts';
import { runProgram } from '../writers/program.ts';
import type { Application, ApplicationKind, ApplicationNote } from './application.ts';
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
}

export function systemd({ species, machine = thisMachine }: SystemdOptions): ApplicationKind {
  return {
    name: KIND,
    async find({ volumes, writing, signal }) {
      if (!(await machine.hasSystemd())) return { applications: [], immovable: [] };
      const servers = await Promise.all(species.map((each) => serversOn(each, volumes, signal)));
      const units = new Set<string>();
      // Whoever carries this out must not stop itself.
      const own = unitOf(await machine.cgroup('self'));
      for (const pid of [...writing, ...servers.flat().map((server) => server.pid)]) {
        const unit = unitOf(await machine.cgroup(pid));
        if (unit !== undefined && unit !== own) units.add(unit);
      }
      const applications = [...units].map((unit) => new SystemdService(noteOf(unit), machine));
      return { applications, immovable: [] };
    },
    from: (note) => new SystemdService(note as UnitNote, machine),
  };
}

/** Undefined where it is of no service of the machine. */
export function unitOf(cgroup: string): string | undefined {
  if (OTHERS.test(cgroup)) return undefined;
  return SERVICE.exec(cgroup)?.[1];
}

type UnitNote = ApplicationNote & { readonly details: { readonly unit: string } };

const noteOf = (unit: string): UnitNote => ({
  kind: KIND,
  id: `${KIND}:${unit}`,
  name: `the service ${unit}`,
  details: { unit },
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

  async owns(pid: number): Promise<boolean> {
    return unitOf(await this.#machine.cgroup(pid)) === this.#unit;
  }

  async stop(signal: AbortSignal): Promise<void> {
    const failure = await this.#machine.systemctl(['stop', '--', this.#unit], signal);
    signal.throwIfAborted();
    if (failure !== undefined) throw snapshotErrors.SNAPSHOTS_APPLICATION_STAYS([this.note.name, failure]);
  }

  async start(signal: AbortSignal): Promise<void> {
    // One that is stopping still is started when it has stopped.
    const failure = await this.#machine.systemctl(['start', '--', this.#unit], signal);
    signal.throwIfAborted();
    if (failure !== undefined) throw snapshotErrors.SNAPSHOTS_APPLICATION_DOWN([this.note.name, failure]);
  }

  async whyDown(): Promise<string | undefined> {
    // One that has ended without a failure, or is to be started once more, does not run either.
    const args = ['is-active', '--quiet', '--', this.#unit];
    const isActive = (await this.#machine.systemctl(args, new AbortController().signal)) === undefined;
    return isActive ? undefined : `it is not active: see systemctl status ${this.#unit}`;
  }

  async end(signal: AbortSignal): Promise<void> {
    await this.#machine.systemctl(['stop', '--', this.#unit], signal);
  }
}

const SYSTEMCTL_MS_MAX = 300_000;

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
};
