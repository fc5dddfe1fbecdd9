/**
 * The writer of a running PostgreSQL. It holds all writing transactions and has a checkpoint made while none runs (how, and why
 * clients are not harmed: postgresql-hold.ts). Clients that write wait meanwhile, those that read go on.
 *
 * What a snapshot is good for then. No copy of a running server says "shut down", so a server that starts from one always says
 * that it was interrupted, and reads the WAL from the last checkpoint on. At the level `application` that is all: the checkpoint
 * was made when every transaction had ended and none could begin, so everything acknowledged is in the data files, no transaction
 * is half done, and redo has only what background processes write about themselves, REDO_BYTES_MAX at most, which is asked of the
 * server before the cut and after it. `position` is the end of the WAL at the cut.
 *
 * What is not held: a sequence may give numbers out, NOTIFY and materialized views get by (their own WAL is within the limit, or the
 * snapshot does not count). Tables that are UNLOGGED are empty in the copy, as after any crash. A server that follows another one
 * cannot be held (it takes no such lock): it makes a restart point, and the level is `crash`.
 *
 * What a copy under load has to redo the system test prints (postgresql.system.test.ts): 56 bytes on 15.18, 88 on 18.4. What cannot be held:
 * clients that are within transactions all the time, and take the tables in different orders. That is a veto, or, where the options
 * say so, a checkpoint and the level `crash`.
 *
 * Backup mode (pg_backup_start) is not used: the cut is of one moment, so the copy needs no backup_label, which somebody would have
 * to put into it, and backup mode holds nobody.
 */
import * as path from 'node:path';
import { assert, isCoded } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { Component, DiscoverOptions, Frozen, Writer, WriterKind } from '../writer.ts';
import { accountOf } from './accounts.ts';
import { HelperProcess, Refused } from './helper-process.ts';
import { findClusters, type Cluster } from './postgresql-cluster.ts';
import type { Opened, SessionTarget } from './postgresql-helper.ts';
import { REDO_BYTES_MAX, type HeldAt } from './postgresql-hold.ts';

/** Where a server does not let the owner of its data directory in without a password. */
export interface PostgresLogin {
  readonly dataDirectory: string;
  /** A superuser. */
  readonly user: string;
  readonly password?: string;
  /** An address, or the directory of its socket; without it, what postmaster.pid says. */
  readonly host?: string;
}

export interface PostgresOptions {
  readonly logins?: readonly PostgresLogin[];
  /** For so long writing transactions are waited for, in all. */
  readonly holdMs?: number;
  /** What becomes of a server that could not be held by then. */
  readonly otherwise?: 'veto' | 'crash';
}

const HOLD_MS = 10_000;

export function postgresql(options: PostgresOptions = {}): WriterKind {
  return {
    name: 'postgresql',
    async discover({ volumes, signal }: DiscoverOptions): Promise<readonly Writer[]> {
      const clusters = await findClusters(volumes, signal);
      return clusters.map((cluster) => new PostgresWriter({ cluster, ...options }));
    },
  };
}

/** @internal for tests: `helperPid` is whom to kill */
export class PostgresWriter implements Writer {
  readonly id: string;
  readonly #cluster: Cluster;
  readonly #login: PostgresLogin | undefined;
  readonly #holdMs: number;
  readonly #otherwise: 'veto' | 'crash';
  #helper: HelperProcess | undefined;
  #inRecovery = false;
  #held = false;

  constructor(options: PostgresOptions & { readonly cluster: Cluster }) {
    const { cluster, logins = [], holdMs = HOLD_MS, otherwise = 'veto' } = options;
    this.#cluster = cluster;
    this.#login = logins.find(({ dataDirectory }) => dataDirectory === cluster.dataDirectory);
    this.#holdMs = holdMs;
    this.#otherwise = otherwise;
    // Two servers may have one port, on sockets in different directories.
    this.id = `postgresql:${cluster.port}:${cluster.dataDirectory}`;
  }

  get helperPid(): number | undefined {
    return this.#helper?.pid;
  }

  async identify(signal: AbortSignal): Promise<readonly Component[]> {
    const { dataDirectory, version, parts, outside } = this.#cluster;
    const name = `PostgreSQL ${version} at ${dataDirectory}`;
    if (outside.length > 0) throw snapshotErrors.SNAPSHOTS_OUTSIDE([name, outside.join(', ')]);
    await this.#connect(signal);
    return [{ name, paths: parts }];
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const helper = await this.#connect(signal);
    await this.#orVeto(helper.ask('checkpoint', {}, signal));
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    const helper = await this.#connect(signal);
    if (!this.#inRecovery) {
      try {
        const { position } = await this.#orVeto(helper.ask<HeldAt>('freeze', { ms: this.#holdMs }, signal));
        this.#held = true;
        return { position, level: 'application' };
      } catch (error) {
        if (this.#otherwise === 'veto' || !isCoded(error, 'SNAPSHOTS_VETO')) throw error;
      }
    }
    const position = await this.#orVeto(helper.ask<string>('checkpoint', {}, signal));
    return { position, level: 'crash' };
  }

  async thaw(signal: AbortSignal): Promise<void> {
    if (!this.#held) return;
    this.#held = false;
    assert(this.#helper, 'freeze comes first');
    try {
      const bytes = await this.#helper.ask<number>('thaw', {}, signal);
      if (bytes <= REDO_BYTES_MAX) return;
      throw snapshotErrors.SNAPSHOTS_NOT_HELD([this.id, `${bytes} bytes of WAL were written meanwhile`]);
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      throw snapshotErrors.SNAPSHOTS_NOT_HELD([this.id, cause.message], { cause });
    }
  }

  async abort(): Promise<void> {
    // The sessions are this process's; it need not be asked, and may be waiting for a lock.
    this.#held = false;
    await this.#helper?.kill();
    this.#helper = undefined;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#helper?.[Symbol.asyncDispose]();
    this.#helper = undefined;
  }

  /** @throws SNAPSHOTS_UNREACHABLE */
  async #connect(signal: AbortSignal): Promise<HelperProcess> {
    if (this.#helper) return this.#helper;
    const { dataDirectory, owner } = this.#cluster;
    const what = `PostgreSQL at ${dataDirectory}`;
    const own = process.getuid?.();
    if (!this.#login && own !== 0 && own !== owner.uid)
      throw snapshotErrors.SNAPSHOTS_UNREACHABLE([
        what,
        'this process is neither root nor its owner: run it as one of them',
      ]);
    const helper = HelperProcess.start({
      file: path.join(import.meta.dirname, 'postgresql-helper.ts'),
      args: [String(owner.uid), String(owner.gid)],
      what,
    });
    this.#helper = helper;
    try {
      const { inRecovery } = await helper.ask<Opened>('open', { target: await this.#target() }, signal);
      this.#inRecovery = inRecovery;
      return helper;
    } catch (cause) {
      await this.abort();
      if (!(cause instanceof Refused)) throw cause;
      const way = 'name a superuser of it in the options of the writer';
      throw snapshotErrors.SNAPSHOTS_UNREACHABLE([what, `${cause.message}; ${way}`], { cause });
    }
  }

  async #target(): Promise<SessionTarget> {
    const { port, socketDirectories, owner } = this.#cluster;
    const login = this.#login;
    const hosts = login?.host === undefined ? socketDirectories : [login.host];
    if (login)
      return { hosts, port, users: [login.user], ...(login.password && { password: login.password }) };
    return {
      hosts,
      port,
      users: [...new Set([(await accountOf(owner.uid))?.name ?? 'postgres', 'postgres'])],
    };
  }

  async #orVeto<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      throw snapshotErrors.SNAPSHOTS_VETO([this.id, cause.message], { cause });
    }
  }
}
