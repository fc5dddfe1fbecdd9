/** The deadlines of the turns: a client has at most one of waiting, running and idling at a time. */
import type { Clock } from '@rokka/kernel';

export interface TurnLimits {
  /** A session that has the backend and says nothing for this long is ended: it stops all others. */
  readonly idleInTransactionMs: number;
  /** A batch that has waited for the backend this long fails. */
  readonly waitMs: number;
  /** For sessions that set no statement_timeout. 0: none. */
  readonly statementTimeoutMs: number;
  /** How long a cancelled statement may take to stop before the engine is killed under it. */
  readonly cancelGraceMs: number;
}

export interface TurnTimerActions<C> {
  onStatementTimeout(client: C): void;
  onIdle(client: C): void;
  onWaited(client: C): void;
  onGrace(client: C): void;
}

export class TurnTimers<C> {
  readonly #clock: Clock;
  readonly #limits: TurnLimits;
  readonly #actions: TurnTimerActions<C>;
  readonly #phases = new Map<C, () => void>();
  readonly #graces = new Map<C, () => void>();

  constructor(clock: Clock, limits: TurnLimits, actions: TurnTimerActions<C>) {
    this.#clock = clock;
    this.#limits = limits;
    this.#actions = actions;
  }

  startWaiting(client: C, sinceMs: number): void {
    const leftMs = sinceMs + this.#limits.waitMs - this.#clock.nowMs();
    this.#start(client, Math.max(0, leftMs), () => this.#actions.onWaited(client));
  }

  /** `timeout` is the session's statement_timeout in milliseconds. It counts for the batch, not for each statement. */
  startStatement(client: C, timeout: string | undefined): void {
    const ms = timeout === undefined ? this.#limits.statementTimeoutMs : Number(timeout);
    if (ms > 0) this.#start(client, ms, () => this.#actions.onStatementTimeout(client));
  }

  startIdle(client: C): void {
    this.#start(client, this.#limits.idleInTransactionMs, () => this.#actions.onIdle(client));
  }

  /** Beside the phase: a cancelled batch still runs. */
  startGrace(client: C): void {
    if (this.#graces.has(client)) return;
    const run = () => this.#actions.onGrace(client);
    this.#graces.set(client, this.#clock.after(this.#limits.cancelGraceMs, run));
  }

  stop(client: C): void {
    this.#phases.get(client)?.();
    this.#phases.delete(client);
    this.#graces.get(client)?.();
    this.#graces.delete(client);
  }

  /** The client is gone, but a batch of it may still run. */
  forget(client: C): void {
    this.#phases.get(client)?.();
    this.#phases.delete(client);
  }

  #start(client: C, ms: number, run: () => void): void {
    this.#phases.get(client)?.();
    this.#phases.set(client, this.#clock.after(ms, run));
  }
}
