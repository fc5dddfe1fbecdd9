/**
 * Several machines on one: network namespaces on a bridge, each with an address, its own ports and its own faults. Names
 * carry this process's id, nothing of the host's network is touched, and all of it is taken away at the end.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { systemClock } from '@rokka/kernel';
import { kill } from './test-place.ts';

const COMMAND_MS = 60_000;
const INTERFACE = 'eth0';
let nets = 0;

export class TestNet implements Disposable {
  readonly #name: string;
  readonly #count: number;
  readonly #onExit = () => this[Symbol.dispose]();

  private constructor(count: number) {
    // A bridge's name may have 15 characters.
    this.#name = `rk${process.pid}n${++nets}`;
    this.#count = count;
    // A test that is ended from outside must not leave its machines running.
    process.on('exit', this.#onExit);
    process.on('SIGTERM', endedByOthers);
  }

  /** Why there can be no namespaces here, for `skip` of a test; undefined where there can. */
  static get missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    if (!works('ip', ['-V'])) return 'needs ip: install the package iproute2';
    if (!works('iptables', ['-V'])) return 'needs iptables: install the package iptables';
    const name = `rk${process.pid}probe`;
    try {
      if (!works('ip', ['netns', 'add', name]))
        return 'this kernel, or this container, makes no network namespaces';
      return works('ip', ['netns', 'exec', name, 'iptables', '-L', '-n'])
        ? undefined
        : 'iptables does not work in a network namespace here';
    } finally {
      works('ip', ['netns', 'del', name]);
    }
  }

  /** Machines are counted from 1. */
  static make(count: number): TestNet {
    const net = new TestNet(count);
    try {
      ip('link', 'add', net.#name, 'type', 'bridge');
      ip('link', 'set', net.#name, 'up');
      for (let machine = 1; machine <= count; machine++) net.#addMachine(machine);
      return net;
    } catch (error) {
      net[Symbol.dispose]();
      throw error;
    }
  }

  host(machine: number): string {
    return `10.77.0.${machine}`;
  }

  /** What stands before a command that is to run on the machine. */
  prefix(machine: number): string[] {
    return ['ip', 'netns', 'exec', this.#namespace(machine)];
  }

  /** Its cable is pulled. */
  cut(machine: number): void {
    ip('link', 'set', this.#port(machine), 'down');
  }

  /** It is heard, and hears nothing. */
  deafen(machine: number): void {
    this.#inside(machine, 'iptables', '-A', 'INPUT', '-i', INTERFACE, '-j', 'DROP');
  }

  /** It hears, and is heard by nobody. */
  mute(machine: number): void {
    this.#inside(machine, 'iptables', '-A', 'OUTPUT', '-o', INTERFACE, '-j', 'DROP');
  }

  /** What it sends to this port of others gets lost, until `unblock`. */
  block(machine: number, port: number): void {
    this.#inside(machine, 'iptables', '-A', 'OUTPUT', '-p', 'tcp', '--dport', String(port), '-j', 'DROP');
  }

  unblock(machine: number): void {
    this.#inside(machine, 'iptables', '-F', 'OUTPUT');
  }

  /** Ends `cut`, `deafen`, `mute` and `block`. */
  heal(machine: number): void {
    ip('link', 'set', this.#port(machine), 'up');
    this.#inside(machine, 'iptables', '-F');
  }

  /** Whatever still runs on a machine is killed: nothing but what the test started is there. */
  [Symbol.dispose](): void {
    process.off('exit', this.#onExit);
    process.off('SIGTERM', endedByOthers);
    for (let machine = 1; machine <= this.#count; machine++) this.#killAll(machine);
    for (let machine = 1; machine <= this.#count; machine++) {
      works('ip', ['link', 'del', this.#port(machine)]);
      works('ip', ['netns', 'del', this.#namespace(machine)]);
    }
    works('ip', ['link', 'del', this.#name]);
  }

  #killAll(machine: number): void {
    const { stdout } = spawnSync('ip', ['netns', 'pids', this.#namespace(machine)], {
      encoding: 'utf8',
      timeout: COMMAND_MS,
    });
    for (const pid of stdout.split('\n').filter(Boolean)) kill(Number(pid));
  }

  #addMachine(machine: number): void {
    const namespace = this.#namespace(machine);
    const port = this.#port(machine);
    ip('netns', 'add', namespace);
    ip('link', 'add', port, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', namespace);
    ip('link', 'set', port, 'master', this.#name, 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'addr', 'add', `${this.host(machine)}/24`, 'dev', INTERFACE);
    ip('-n', namespace, 'link', 'set', INTERFACE, 'up');
  }

  #inside(machine: number, ...command: [string, ...string[]]): void {
    ip('netns', 'exec', this.#namespace(machine), ...command);
  }

  #namespace(machine: number): string {
    return `${this.#name}m${machine}`;
  }

  #port(machine: number): string {
    return `${this.#name}v${machine}`;
  }
}

function endedByOthers(): void {
  process.exit(143);
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: COMMAND_MS });
}

const works = (command: string, args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore', timeout: COMMAND_MS }).status === 0;

/** Looks again and again until it holds. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 180_000,
): Promise<T> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (systemClock.nowMs() > untilMs)
      throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await systemClock.sleep(100);
  }
}
