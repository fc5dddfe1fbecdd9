/** An etcd of three members, one on each machine of a test network. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { openRegistry } from '@rokka/registry';
import { type TestNet, until } from './netns.ts';
import type { TestPlace } from './test-place.ts';

const MEMBERS = [1, 2, 3];
const COMMAND_MS = 30_000;

export class EtcdOnMachines implements AsyncDisposable {
  readonly #net: TestNet;
  readonly #directory: string;
  readonly #members: ChildProcess[] = [];

  private constructor(net: TestNet, directory: string) {
    this.#net = net;
    this.#directory = directory;
  }

  static get missing(): string | undefined {
    const { status } = spawnSync('etcd', ['--version'], { timeout: COMMAND_MS });
    return status === 0 ? undefined : 'needs etcd: install the package etcd-server';
  }

  /** Resolves when writes can be made. */
  static async start(net: TestNet, place: TestPlace): Promise<EtcdOnMachines> {
    const etcd = new EtcdOnMachines(net, path.join(place.path, 'etcd'));
    fs.mkdirSync(etcd.#directory);
    for (const machine of MEMBERS) etcd.#run(machine);
    try {
      await etcd.#ready();
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** For `--registry`. */
  get location(): string {
    return `etcd:http://${MEMBERS.map((machine) => `${this.#net.host(machine)}:2379`).join(',')}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.#members) {
      if (member.exitCode !== null || member.signalCode !== null) continue;
      member.kill('SIGKILL');
      await once(member, 'exit');
    }
  }

  #run(machine: number): void {
    const at = (port: number, on = machine) => `http://${this.#net.host(on)}:${port}`;
    const flags = {
      name: `m${machine}`,
      'data-dir': path.join(this.#directory, `m${machine}`),
      'listen-client-urls': at(2379),
      'advertise-client-urls': at(2379),
      'listen-peer-urls': at(2380),
      'initial-advertise-peer-urls': at(2380),
      'initial-cluster': MEMBERS.map((one) => `m${one}=${at(2380, one)}`).join(','),
    };
    const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const [command, ...prefix] = this.#net.prefix(machine);
    const log = fs.openSync(path.join(this.#directory, `m${machine}.log`), 'a');
    this.#members.push(spawn(command ?? '', [...prefix, 'etcd', ...words], { stdio: ['ignore', log, log] }));
    fs.closeSync(log);
  }

  /** This process is on none of the machines: one of them is asked from its own. */
  async #ready(): Promise<void> {
    const [command, ...prefix] = this.#net.prefix(1);
    const ask = [...prefix, process.execPath, import.meta.filename, this.location];
    await until('etcd has a leader', async () => {
      const { status, stderr } = spawnSync(command ?? '', ask, { timeout: COMMAND_MS, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      return true;
    });
  }
}

// Run as a program, it looks whether the registry answers.
if (process.argv[1] === import.meta.filename && process.argv[2] !== undefined) {
  await using registry = await openRegistry(process.argv[2], { cluster: 'probe', clock: systemClock });
  await registry.put('probe', {}, (await registry.get('probe'))?.revision ?? 0);
}
