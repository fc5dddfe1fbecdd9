/**
 * A Redis or Valkey server as a writer: writes are paused, then what is in memory goes to the disk.
 *
 * CLIENT PAUSE … WRITE (6.2 and newer) stops whatever changes data: commands that write, scripts and functions that may, what
 * comes from a primary, expiry and eviction. Modules that write from timers of their own are not stopped; `thaw` sees it by
 * the counters. Replicas may go on reading.
 *
 * Level `application` says that a server started on a cut of its volumes has every write that was acknowledged before the freeze:
 * - With an append-only file: the server's buffer is empty (aof_buffer_length), so the file ends with a whole command, and then
 *   this process has the file system written to its device. That holds for every appendfsync, `no` too, and for every version, which
 *   WAITAOF (7.2) does not. Nothing is cut off at the start, which `restored.ts` proves with aof-load-truncated=no.
 * - Without: a dump that was begun after the pause and has succeeded. It takes as long as the data is large, with
 *   writes paused; where it is not done by the deadline, that is a veto.
 * A dump or a rewrite of the log that is under way is waited for first: `prepare` does it while nobody waits.
 *
 * A server that is told to keep nothing (no append-only file, `save ""`) is left alone and the level is `crash`: a dump would be
 * loaded at its next start, against its owner's wish.
 *
 * The pause is a lease of ten seconds (pause.ts), so that it ends soon when this process is killed. CLIENT UNPAUSE also ends one
 * that somebody else has begun: the server keeps one only.
 */
import * as path from 'node:path';
import { assert, type Clock } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';
import type { Component, Frozen, Writer } from '../../writer.ts';
import type { Placement } from '../server-placement.ts';
import { syncFileSystems } from '../sync.ts';
import { RedisClient, type Info, type RedisAddress } from './client.ts';
import { Pause } from './pause.ts';
import {
  dumpIsDone,
  hasLog,
  isQuiet,
  logIsWritten,
  positionOf,
  unfitness,
  wasWritten,
} from './persistence.ts';

const POLL_MS = 10;

export interface RedisWriterOptions {
  readonly address: RedisAddress;
  /** Stands before the server's paths to make them ours. */
  readonly root: string;
  readonly placement: Placement;
  readonly clock: Clock;
}

export class RedisWriter implements Writer {
  readonly id: string;
  readonly #options: RedisWriterOptions;
  #client?: RedisClient | undefined;
  #pause?: Pause | undefined;
  /** As it was when the freeze was done. */
  #frozen: Info = {};
  #paths: readonly string[] = [];

  constructor(options: RedisWriterOptions) {
    const { at } = options.address;
    this.#options = options;
    this.id = `redis:${'path' in at ? at.path : at.port}`;
  }

  /** @throws SNAPSHOTS_OUTSIDE, SNAPSHOTS_SERVER_SILENT, SNAPSHOTS_SERVER_REFUSED */
  async identify(signal: AbortSignal): Promise<readonly Component[]> {
    const { address, root, placement } = this.#options;
    await using client = await RedisClient.open(address, signal);
    const info = await client.info(signal);
    const directory = await setting(client, 'dir', signal);
    const log = hasLog(info) ? await setting(client, 'appenddirname', signal) : '';
    // The directory of the log may be a link or a mount of its own.
    const paths = [directory, ...(log === '' ? [] : [path.join(directory, log)])].map((name) => root + name);
    for (const name of paths)
      if (!(await placement.holds(name))) throw snapshotErrors.SNAPSHOTS_OUTSIDE([this.id, name]);
    this.#paths = paths;
    return [{ name: `Redis ${info['redis_version']} at ${paths[0]}`, paths }];
  }

  /** @throws SNAPSHOTS_SERVER_UNFIT, SNAPSHOTS_SERVER_REFUSED */
  async prepare(signal: AbortSignal): Promise<void> {
    assert(this.#client === undefined && this.#paths.length > 0, 'identify comes first, prepare once');
    this.#client = await RedisClient.open(this.#options.address, signal);
    await this.#until(isQuiet, signal);
    await syncFileSystems(this.#paths, signal);
  }

  /** @throws SNAPSHOTS_SERVER_UNFIT, SNAPSHOTS_SERVER_REFUSED */
  async freeze(signal: AbortSignal): Promise<Frozen> {
    const client = this.#client;
    assert(client !== undefined, 'prepare comes before freeze');
    const send = (ms: number, until?: AbortSignal) =>
      client.command(['CLIENT', 'PAUSE', String(ms), 'WRITE'], until);
    this.#pause = await Pause.begin({ clock: this.#options.clock, send }, signal);
    const quiet = await this.#until(isQuiet, signal);
    const level = hasLog(quiet) || (await setting(client, 'save', signal)) !== '' ? 'application' : 'crash';
    if (hasLog(quiet)) await this.#until(logIsWritten, signal);
    else if (level === 'application') await this.#dump(client, signal);
    this.#frozen = await this.#until(isQuiet, signal);
    await syncFileSystems(this.#paths, signal);
    if (!this.#pause.holds) throw snapshotErrors.SNAPSHOTS_NOT_HELD([this.id, 'its pause ended']);
    return { position: positionOf(this.#frozen), level };
  }

  /** @throws SNAPSHOTS_NOT_HELD */
  async thaw(signal: AbortSignal): Promise<void> {
    const [client, pause] = [this.#client, this.#pause];
    assert(client !== undefined && pause !== undefined, 'freeze comes before thaw');
    this.#client = this.#pause = undefined;
    await using _ = client;
    pause.stop();
    try {
      const now = await client.info(signal);
      const { holds } = pause;
      await client.command(['CLIENT', 'UNPAUSE'], signal);
      if (!holds) throw new Error('its pause had ended by itself');
      if (wasWritten(this.#frozen, now)) throw new Error('its data has changed');
    } catch (error) {
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_NOT_HELD([this.id, (error as Error).message], { cause: error });
    }
  }

  /** @throws where the server cannot be told: the pause ends by itself then */
  async abort(signal: AbortSignal): Promise<void> {
    const [client, pause] = [this.#client, this.#pause];
    this.#client = this.#pause = undefined;
    pause?.stop();
    client?.close();
    if (!pause) return;
    // Another connection: a command may still wait on the first one.
    await using other = await RedisClient.open(this.#options.address, signal);
    await other.command(['CLIENT', 'UNPAUSE'], signal);
  }

  async finish(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pause?.stop();
    this.#client?.close();
  }

  async #dump(client: RedisClient, signal: AbortSignal): Promise<void> {
    await client.command(['BGSAVE'], signal);
    const info = await this.#until(isQuiet, signal);
    if (!dumpIsDone(info))
      throw snapshotErrors.SNAPSHOTS_SERVER_UNFIT([this.id, 'its dump failed; see its log']);
  }

  /** INFO, once it is so. @throws SNAPSHOTS_SERVER_UNFIT */
  async #until(so: (info: Info) => boolean, signal: AbortSignal): Promise<Info> {
    const client = this.#client;
    assert(client !== undefined, 'a wait without a client');
    for (;;) {
      const info = await client.info(signal);
      const why = unfitness(info);
      if (why !== undefined) throw snapshotErrors.SNAPSHOTS_SERVER_UNFIT([this.id, why]);
      if (so(info)) return info;
      await this.#options.clock.sleep(POLL_MS, signal);
    }
  }
}

/** A setting of the running server; empty where this version has none of that name. */
async function setting(client: RedisClient, name: string, signal: AbortSignal): Promise<string> {
  const reply = await client.command(['CONFIG', 'GET', name], signal);
  return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : '';
}
