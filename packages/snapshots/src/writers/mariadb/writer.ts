/**
 * A MariaDB server as a writer, by BACKUP STAGE on one kept session (mariadb.com/kb/en/backup-stage/).
 *
 * Level `application` says, for a cut of all its volumes at one moment while it is held:
 * - Every transaction that was acknowledged before the freeze is there, whatever innodb_flush_log_at_trx_commit says. BLOCK_COMMIT
 *   itself does not see to that: InnoDB's log may be a second behind. So the freeze waits until the log is flushed up to where it
 *   stood when commits were blocked; without that the system test, which has a setting of 0, fails.
 * - The binary log and InnoDB agree: nobody is between the two while commits are blocked, so that a restored server finds no
 *   transaction in doubt but those that an XA client has prepared itself.
 * - MyISAM, Aria and CSV tables are closed properly: CHECK TABLE has nothing to say, nothing is repaired.
 *
 * It does not say that InnoDB reads none of its log. Statements inside of open transactions go on while commits are blocked, and
 * purge does; the restored server rolls back what was never committed. So its log says "Starting crash recovery" all the same. The
 * checkpoint is made in `prepare`, where nobody waits for it, and bounds the log that is to be read;
 * where innodb_log_checkpoint_now is missing, innodb_log_file_size does. Aria's recovery of its own log runs likewise.
 *
 * With tables of an engine that the stages do not know the level is `crash`.
 *
 * The locks go with the session, so with this process; and the server ends a session that says nothing for a minute, should this
 * process stand still.
 */
import { assert, type Clock } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';
import { FREEZE_MS_MAX } from '../../provider.ts';
import type { Component, Frozen, Writer } from '../../writer.ts';
import type { Placement } from '../server-placement.ts';
import { syncFileSystems } from '../sync.ts';
import { mariadbPaths } from './files.ts';
import { MariadbSession, type MariadbAddress } from './session.ts';

const FREEZE_SECONDS_MAX = FREEZE_MS_MAX / 1000;
/** How often the log is asked how far it is. */
const LOG_POLL_MS = 20;
/** Engines that the stages bring to rest, and those that keep nothing or nothing here. */
const ENGINES_COVERED = [
  'InnoDB',
  'Aria',
  'MyISAM',
  'MRG_MyISAM',
  'CSV',
  'MEMORY',
  'BLACKHOLE',
  'SEQUENCE',
  'PERFORMANCE_SCHEMA',
];

export interface MariadbWriterOptions {
  readonly address: MariadbAddress;
  /** Stands before the server's paths to make them ours. */
  readonly root: string;
  readonly placement: Placement;
  readonly clock: Clock;
}

export class MariadbWriter implements Writer {
  readonly id: string;
  readonly #options: MariadbWriterOptions;
  /** Whose locks hold the server, from `prepare` to the end. */
  #holder?: MariadbSession | undefined;
  #paths: readonly string[] = [];
  #level: Frozen['level'] = 'crash';

  constructor(options: MariadbWriterOptions) {
    this.#options = options;
    this.id = `mariadb:${options.address.socketPath}`;
  }

  /** @throws SNAPSHOTS_OUTSIDE, SNAPSHOTS_SERVER_SILENT, SNAPSHOTS_SERVER_UNFIT */
  async identify(signal: AbortSignal): Promise<readonly Component[]> {
    const { address, root, placement } = this.#options;
    await using session = await MariadbSession.open(address, signal);
    const variables = await session.pairs('SHOW GLOBAL VARIABLES', signal);
    const version = variables['version'] ?? '';
    if (!version.includes('MariaDB'))
      throw snapshotErrors.SNAPSHOTS_SERVER_UNFIT([
        this.id,
        `it is MySQL ${version}, which has no BACKUP STAGE; exclude it, or use a script`,
      ]);
    const paths = await mariadbPaths(variables, root);
    for (const path of paths)
      if (!(await placement.holds(path))) throw snapshotErrors.SNAPSHOTS_OUTSIDE([this.id, path]);
    this.#paths = paths;
    return [{ name: `MariaDB ${version} at ${paths[0]}`, paths }];
  }

  /** @throws SNAPSHOTS_SERVER_REFUSED where somebody else is backing up, or holds LOCK TABLES … WRITE for too long */
  async prepare(signal: AbortSignal): Promise<void> {
    assert(this.#holder === undefined && this.#paths.length > 0, 'identify comes first, prepare once');
    const holder = await MariadbSession.open(this.#options.address, signal);
    this.#holder = holder;
    this.#level = (await this.#strangers(holder, signal)) === 0 ? 'application' : 'crash';
    await this.#checkpoint(signal);
    await syncFileSystems(this.#paths, signal);
    await holder.query(`SET SESSION lock_wait_timeout = ${FREEZE_SECONDS_MAX}`, signal);
    await holder.query('BACKUP STAGE START', signal);
  }

  /** @throws SNAPSHOTS_SERVER_REFUSED */
  async freeze(signal: AbortSignal): Promise<Frozen> {
    const holder = this.#holder;
    assert(holder !== undefined, 'prepare comes before freeze');
    await holder.query(`SET SESSION wait_timeout = ${FREEZE_SECONDS_MAX}`, signal);
    // Writes to tables without transactions wait from here on.
    await holder.query('BACKUP STAGE FLUSH', signal);
    await holder.query('BACKUP STAGE BLOCK_DDL', signal);
    await holder.query('BACKUP STAGE BLOCK_COMMIT', signal);
    await this.#logIsFlushed(holder, signal);
    const position = await positionOf(holder, signal);
    await syncFileSystems(this.#paths, signal);
    return { position, level: this.#level };
  }

  /** @throws SNAPSHOTS_NOT_HELD */
  async thaw(signal: AbortSignal): Promise<void> {
    const holder = this.#holder;
    assert(holder !== undefined, 'freeze comes before thaw');
    this.#holder = undefined;
    await using _ = holder;
    try {
      // The locks are this session's: that it still answers is the proof that they were held.
      await holder.query('BACKUP STAGE END', signal);
    } catch (error) {
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_NOT_HELD([this.id, (error as Error).message], { cause: error });
    }
  }

  async abort(): Promise<void> {
    this.#holder?.drop();
    this.#holder = undefined;
  }

  async finish(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  /** How many engines with tables here the stages do not cover. */
  async #strangers(session: MariadbSession, signal: AbortSignal): Promise<number> {
    const covered = ENGINES_COVERED.map((name) => `'${name}'`).join(', ');
    const rows = await session.query(
      `SELECT DISTINCT ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE NOT IN (${covered})`,
      signal,
    );
    return rows.length;
  }

  /** In a session of its own: it takes as long as there is to write, and the holder must stay at hand. */
  async #checkpoint(signal: AbortSignal): Promise<void> {
    await using session = await MariadbSession.open(this.#options.address, signal);
    const known = await session.pairs("SHOW GLOBAL VARIABLES LIKE 'innodb_log_checkpoint_now'", signal);
    if (Object.keys(known).length > 0)
      await session.query('SET GLOBAL innodb_log_checkpoint_now = ON', signal);
  }

  /** Commits are blocked, so what the log ends with now is all that was acknowledged; a background thread flushes it every second. */
  async #logIsFlushed(session: MariadbSession, signal: AbortSignal): Promise<void> {
    const look = () =>
      session.pairs(
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_lsn_flushed')",
        signal,
      );
    // Without InnoDB both are missing, and there is no log.
    const first = await look();
    const goal = Number(first['Innodb_lsn_current'] ?? 0);
    for (let now = first; Number(now['Innodb_lsn_flushed'] ?? 0) < goal; now = await look())
      await this.#options.clock.sleep(LOG_POLL_MS, signal);
  }
}

/** `GTID (file:offset)`, as far as the server has them. */
async function positionOf(session: MariadbSession, signal: AbortSignal): Promise<string> {
  const [gtid] = await session.query('SELECT @@gtid_current_pos AS gtid', signal);
  const [log] = await session.query('SHOW MASTER STATUS', signal);
  return `${String(gtid['gtid'])}${log ? ` (${String(log['File'])}:${String(log['Position'])})` : ''}`;
}
