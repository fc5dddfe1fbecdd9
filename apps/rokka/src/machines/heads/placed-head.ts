/** A head on a joined machine, as the controller holds it: like a child process of its own, but that it may be out of reach. */
import { assert, type Clock, CodedError, Deferred, type Random } from '@rokka/kernel';
import type { Head } from '../../databases/database-unit.ts';
import { rokkaErrors } from '../../errors.ts';
import type { FilesDetail } from '../../processes/engine.ts';
import {
  type HeadOrder,
  type HeadReport,
  type HeadRun,
  isSameRun,
  type PlacedHeadOptions,
} from './head-orders.ts';
import type { PlacedHeads } from './placed-heads.ts';

const READY_MS = 600_000;
const STATUS_MS = 2_000;

export interface PlacedHeadParts {
  readonly machine: string;
  readonly name: string;
  readonly generation: number;
  readonly options: PlacedHeadOptions;
  onReady(detail: FilesDetail): void;
  onLost(): void;
  onFinal(error: CodedError): void;
  onProgress(text: string): void;
}

export interface PlacedHeadContext extends PlacedHeadParts {
  readonly host: PlacedHeads;
  readonly clock: Clock;
  readonly random: Random;
}

export class PlacedHead implements Head {
  readonly #of: PlacedHeadContext;
  readonly #firstReady = new Deferred<void>();
  readonly #ended = new Deferred<void>();
  /** Undefined until its machine has said whether one of this generation runs there already. */
  #nonce: string | undefined;
  #report: HeadReport | undefined;
  #lastError: CodedError | undefined;
  #ready = false;
  /** How it shall end, and from which orders on it is told so. */
  #end: { how: 'in-order' | 'at-once'; serial: number } | undefined;
  #isFinal = false;

  constructor(of: PlacedHeadContext) {
    this.#of = of;
    this.#firstReady.promise.catch(() => {});
  }

  get machine(): string {
    return this.#of.machine;
  }

  get name(): string {
    return this.#of.name;
  }

  /** Of a process on its machine. */
  get pid(): number | undefined {
    return this.#report?.pid;
  }

  get restarts(): number {
    return this.#report?.restarts ?? 0;
  }

  get ready(): boolean {
    return this.#ready;
  }

  get lastError(): CodedError | undefined {
    return this.#lastError;
  }

  /** What the controller waits for cannot come before the machine does. */
  get isAway(): boolean {
    return !this.#of.host.report(this).heard;
  }

  readonly spareWaits = false;

  /** What its machine is told of it. */
  get order(): HeadOrder {
    return { ...this.#run, options: this.#of.options, ...(this.#end && { ends: this.#end.how }) };
  }

  async start(): Promise<void> {
    const { host, clock, name } = this.#of;
    this.#begin();
    host.add(this);
    const late = () => this.#firstReady.reject(rokkaErrors.ROKKA_CHILD_LATE([name, READY_MS]));
    const cancel = clock.after(READY_MS, late);
    await this.#firstReady.promise.finally(cancel);
  }

  /** One that another controller has started, and that is to end: whether it is there its machine says. */
  adopt(): void {
    this.#begin();
    // Before its machine is told anything, which would begin what is not there.
    this.#end = { how: 'in-order', serial: Number.POSITIVE_INFINITY };
    this.#of.host.add(this);
    this.#end = { how: 'in-order', serial: this.#of.host.changed(this) };
  }

  async status(): Promise<unknown> {
    if (!this.#ready) return undefined;
    return this.#ask('status', STATUS_MS).catch(() => undefined);
  }

  /** @throws ROKKA_CHILD_AWAY, ROKKA_CHILD_SILENT, the head's own error */
  async ask(what: string, timeoutMs: number, argument?: unknown): Promise<unknown> {
    if (!this.#ready) throw rokkaErrors.ROKKA_CHILD_AWAY([this.name]);
    return this.#ask(what, timeoutMs, argument);
  }

  keepSpare(wanted: boolean): void {
    assert(!wanted, 'a head on another machine has no spare');
  }

  handOver(): undefined {}

  kill(): void {
    this.#endBy('at-once');
  }

  /** Resolves when its machine says that it has ended, or when nobody waits for that any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#firstReady.reject(rokkaErrors.ROKKA_STOPPED([this.name]));
    this.#endBy('in-order');
    await this.#ended.promise;
    this.#of.host.remove(this);
  }

  /** Its volume is taken from it: whoever opens it next fences it, and its machine is told to end it when it is heard. */
  abandon(): void {
    this.letGo();
    this.#of.host.remove(this);
  }

  /** For the host: nobody holds it any more. */
  letGo(): void {
    this.#ready = false;
    this.#ended.resolve();
  }

  /** For the host: what its machine says. @param seen the orders that it has heard before */
  hear(report: HeadReport | undefined, seen: number): void {
    this.#nonce ??= this.#nonceOf(report);
    const own = isSameRun(report, this.#run) ? report : undefined;
    this.#report = own;
    if (this.#end) {
      // One of another attempt is its as well: there is one of a name.
      if (!report && seen >= this.#end.serial) this.#ended.resolve();
      return;
    }
    const { why, final, progress, ready, detail } = own ?? {};
    this.#lastError = why && new CodedError(why.code, why.message);
    if (progress !== undefined) this.#of.onProgress(progress);
    if (final && !this.#isFinal) return this.#fail(new CodedError(final.code, final.message));
    if (ready && detail) this.#serve(detail);
    else this.#loseReady();
  }

  /** For the host: its machine is not heard any more. */
  lose(): void {
    this.#lastError = rokkaErrors.ROKKA_MACHINE_AWAY([this.machine]);
    this.#loseReady();
    this.#of.onLost();
  }

  get #run(): HeadRun {
    const { name, generation } = this.#of;
    return { name, generation, nonce: this.#nonce ?? '' };
  }

  #begin(): void {
    const { heard, report } = this.#of.host.report(this);
    if (heard) this.#nonce = this.#nonceOf(report);
    else this.#lastError = rokkaErrors.ROKKA_MACHINE_AWAY([this.machine]);
  }

  /** That of one that runs there for the same wish, whoever started it; else another than any before. */
  #nonceOf(report: HeadReport | undefined): string {
    const goesOn = report && report.generation === this.#of.generation && !report.final;
    return goesOn ? report.nonce : this.#of.random.hex(8);
  }

  #serve(detail: FilesDetail): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#firstReady.resolve();
    this.#of.onReady(detail);
  }

  #loseReady(): void {
    if (!this.#ready) return;
    this.#ready = false;
    this.#of.onLost();
  }

  #fail(error: CodedError): void {
    this.#isFinal = true;
    this.#lastError = error;
    this.#ready = false;
    this.#firstReady.reject(error);
    this.#of.onFinal(error);
  }

  #endBy(how: 'in-order' | 'at-once'): void {
    if (this.#end && (this.#end.how === how || how === 'in-order')) return;
    this.#ready = false;
    // The orders that are sent must say it.
    this.#end = { how, serial: Number.POSITIVE_INFINITY };
    this.#end = { how, serial: this.#of.host.changed(this) };
  }

  #ask(what: string, timeoutMs: number, argument?: unknown): Promise<unknown> {
    const { host, machine, name } = this.#of;
    return host.ask(machine, { name, what, timeoutMs, argument });
  }
}
