/** The peer of a raw append: an etcd of three members on this machine, each with its own data on the same disk, as it comes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { freePort } from '@rokka/kernel/testing';
import { interrupted, sleep } from './interruption.ts';
import { endChild, hasEnded, treeCpuSeconds } from './system.ts';

const READY_MS = 30_000;
const STOP_MS = 10_000;
const LOOK_AGAIN_MS = 100;

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
}

export class Etcd implements AsyncDisposable {
  readonly #directory: string;
  readonly #members: Member[] = [];
  readonly #children: ChildProcess[] = [];
  #leader = '';

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Resolves when there is a leader. */
  static async start(directory: string): Promise<Etcd> {
    mkdirSync(directory, { recursive: true });
    const etcd = new Etcd(directory);
    for (const name of ['m1', 'm2', 'm3']) {
      const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
      etcd.#members.push({ name, client, peer });
    }
    for (const member of etcd.#members) etcd.#children.push(etcd.#spawn(member));
    try {
      etcd.#leader = await etcd.#elected();
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where puts have the shortest way. */
  get leader(): string {
    return this.#leader;
  }

  cpuSeconds(): number {
    return treeCpuSeconds(this.#children.map(({ pid }) => pid ?? 0));
  }

  /** Nobody needs what it has: a member that is asked to end looks for another leader first, for seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const how = { signal: 'SIGKILL', patienceMs: STOP_MS } as const;
    await Promise.all(this.#children.map((child) => endChild(child, how)));
  }

  #spawn({ name, client, peer }: Member): ChildProcess {
    const flags = {
      name,
      'data-dir': path.join(this.#directory, name),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': this.#members.map((one) => `${one.name}=${one.peer}`).join(','),
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const log = openSync(path.join(this.#directory, `${name}.log`), 'a');
    const child = spawn('etcd', words, { stdio: ['ignore', log, log] });
    closeSync(log);
    return child;
  }

  async #elected(): Promise<string> {
    for (let waitedMs = 0; waitedMs < READY_MS; waitedMs += LOOK_AGAIN_MS) {
      for (const { client } of this.#members) if (await leads(client)) return client;
      if (this.#children.some(hasEnded)) break;
      await sleep(LOOK_AGAIN_MS);
    }
    const words = readFileSync(path.join(this.#directory, 'm1.log'), 'utf8').trim().split('\n').at(-1);
    throw new Error(`etcd got no leader within ${READY_MS} ms, or a member ended; m1 said last: ${words}`);
  }
}

async function leads(client: string): Promise<boolean> {
  const signal = AbortSignal.any([AbortSignal.timeout(2_000), interrupted]);
  try {
    const answer = await fetch(`${client}/v3/maintenance/status`, { method: 'POST', body: '{}', signal });
    const status = (await answer.json()) as { leader?: string; header?: { member_id?: string } };
    return status.leader !== undefined && status.leader === status.header?.member_id;
  } catch {
    return false;
  }
}
