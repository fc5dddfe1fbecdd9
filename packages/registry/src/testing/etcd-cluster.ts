/**
 * A real etcd of several members on loopback, in a directory of its own, for tests. Members are killed, stopped and
 * started again by their process ids; nothing is left when the cluster is disposed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { must, systemClock } from '@rokka/kernel';
import { freePorts } from '@rokka/kernel/testing';
import { httpPost, type Post, type Tls } from '../http-post.ts';

const ATTEMPTS_MAX = 3;
const READY_MS_MAX = 180_000;
const STATUS_MS = 3_000;

/** What `skip` of a test takes: why there is no etcd here, or false. */
export function etcdMissing(): string | false {
  const run = spawnSync('etcd', ['--version'], { timeout: 60_000 });
  return run.status === 0 ? false : 'needs etcd: install the package etcd-server';
}

interface Member {
  readonly name: string;
  readonly endpoint: string;
  readonly peer: string;
  child: ChildProcess | undefined;
}

export interface EtcdClusterOptions {
  members: number;
  /** Further ones, for each member. */
  flags?: readonly string[];
  /** What a client needs; the flags tell the members what they need. */
  tls?: Tls;
}

export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly Member[];
  readonly #directory: string;
  readonly #flags: readonly string[];
  readonly #post: Post;

  private constructor(directory: string, members: Member[], options: EtcdClusterOptions) {
    this.#directory = directory;
    this.members = members;
    this.#flags = options.flags ?? [];
    this.#post = httpPost({ clock: systemClock, ...(options.tls && { tls: options.tls }) });
  }

  static async start(options: EtcdClusterOptions): Promise<EtcdCluster> {
    for (let attempt = 1; ; attempt++) {
      const ports = await freePorts(options.members * 2);
      const members = Array.from({ length: options.members }, (_, i) => ({
        name: `m${i}`,
        endpoint: `http${options.tls ? 's' : ''}://127.0.0.1:${ports[2 * i]}`,
        peer: `http://127.0.0.1:${ports[2 * i + 1]}`,
        child: undefined,
      }));
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-etcd-'));
      const cluster = new EtcdCluster(directory, members, options);
      for (const index of members.keys()) cluster.run(index);
      try {
        await cluster.ready();
        return cluster;
      } catch (error) {
        // Somebody may have taken a port between the asking and the using.
        await cluster[Symbol.asyncDispose]();
        if (attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  /** Starts a member, on the data it has. */
  run(index: number): void {
    const member = must(this.members[index]);
    const log = fs.openSync(path.join(this.#directory, `${member.name}.log`), 'a');
    const peers = this.members.map(({ name, peer }) => `${name}=${peer}`).join(',');
    const flags = {
      name: member.name,
      'data-dir': path.join(this.#directory, member.name),
      'listen-client-urls': member.endpoint,
      'advertise-client-urls': member.endpoint,
      'listen-peer-urls': member.peer,
      'initial-advertise-peer-urls': member.peer,
      'initial-cluster': peers,
      'initial-cluster-token': path.basename(this.#directory),
    };
    const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    member.child = spawn('etcd', [...words, ...this.#flags], { stdio: ['ignore', log, log] });
    fs.closeSync(log);
  }

  signal(index: number, signal: NodeJS.Signals): void {
    must(this.members[index]?.child).kill(signal);
  }

  /** kill -9, and gone when this returns. */
  async kill(index: number): Promise<void> {
    const member = must(this.members[index]);
    const { child } = member;
    if (!child) return;
    member.child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Waits until a write can be made. @returns the index of the leader */
  async ready(): Promise<number> {
    for (const endMs = systemClock.nowMs() + READY_MS_MAX; ;) {
      const leader = await this.#leader();
      if (leader !== undefined) return leader;
      if (systemClock.nowMs() > endMs) throw new Error(`no leader: ${this.#logs()}`);
      await systemClock.sleep(50);
    }
  }

  /** As the members that answer agree on it by a majority; on a busy machine there is none now and then. */
  async #leader(): Promise<number | undefined> {
    const said = await Promise.all(this.members.map(({ endpoint }) => this.#status(endpoint)));
    const leaders = said.map((status) => status?.leader).filter((leader) => leader && leader !== '0');
    const leader = leaders[0];
    if (leaders.length * 2 <= said.length || leaders.some((each) => each !== leader)) return undefined;
    const index = said.findIndex((status) => status?.member === leader);
    return index < 0 ? undefined : index;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#post.close?.();
    for (const index of this.members.keys()) await this.kill(index);
    fs.rmSync(this.#directory, { recursive: true });
  }

  async #status(endpoint: string): Promise<{ member: string; leader: string } | undefined> {
    try {
      const { text } = await this.#post(endpoint, '/v3/maintenance/status', '{}', {
        silenceMs: STATUS_MS,
        totalMs: STATUS_MS,
      });
      const { header, leader } = JSON.parse(text) as { header: { member_id: string }; leader?: string };
      return { member: header.member_id, leader: leader ?? '0' };
    } catch {
      return undefined;
    }
  }

  #logs(): string {
    return this.members
      .map(({ name }) => fs.readFileSync(path.join(this.#directory, `${name}.log`), 'utf8').slice(-600))
      .join('\n--\n');
  }
}
