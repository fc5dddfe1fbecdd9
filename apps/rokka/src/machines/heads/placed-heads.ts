/**
 * The first machine's side of heads that run on joined ones: which shall run where, and what the machines say of them. It decides nothing: the
 * controller holds each by a `PlacedHead`, as it holds a head of its own by a child process.
 */
import { type Clock, CodedError, Deferred, describeError, isCoded, type Random } from '@rokka/kernel';
import type { Connection, Frame } from '@rokka/transport';
import { rokkaErrors } from '../../errors.ts';
import { decodeAnswer, DESK, encodeJson } from '../desk-messages.ts';
import {
  AWAY_MS,
  decodeHeads,
  type HeadQuestion,
  type HeadReport,
  type Heads,
  type Orders,
} from './head-orders.ts';
import { PlacedHead, type PlacedHeadParts } from './placed-head.ts';

const LOOK_MS = 1_000;

export interface PlacedHeadsOptions {
  readonly clock: Clock;
  readonly random: Random;
  log(level: 'info' | 'warn', text: string): void;
}

interface Link {
  readonly connection: Connection;
  heardMs: number;
  seen: number;
  reports: ReadonlyMap<string, HeadReport>;
  readonly questions: Map<number, Deferred<unknown>>;
}

export class PlacedHeads implements Disposable {
  readonly #options: PlacedHeadsOptions;
  /** By machine. */
  readonly #links = new Map<string, Link>();
  /** By machine and name. */
  readonly #heads = new Map<string, Map<string, PlacedHead>>();
  #serial = 0;
  #nextQuestion = 1;
  #closed = false;
  #cancelLook = () => {};
  /** Whether the volume of that name may run on that machine: the desk's to know. */
  isPlaced: (name: string, machine: string) => Promise<boolean> = async () => true;

  constructor(options: PlacedHeadsOptions) {
    this.#options = options;
    this.#lookLater();
  }

  /** A head of the controller's. It is ordered when it is started. */
  head(parts: PlacedHeadParts): PlacedHead {
    return new PlacedHead({ ...this.#options, ...parts, host: this });
  }

  /** Nobody holds heads from here on: those that run go on, and whoever comes next finds them. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#cancelLook();
    for (const heads of this.#heads.values()) for (const head of heads.values()) head.letGo();
    this.#heads.clear();
    for (const [machine, { connection }] of this.#links) {
      connection.close();
      this.#drop(machine);
    }
  }

  /** A frame of a machine's link. Closes what says something else. */
  onFrame(machine: string, connection: Connection, { type, requestId, body }: Frame): void {
    if (type === DESK.ASKED) return this.#onAnswer(machine, requestId, body);
    const heads = decodeHeads(body);
    if (!heads || this.#closed) return connection.close();
    this.#hear(machine, connection, heads);
  }

  onClose(machine: string, connection: Connection): void {
    if (this.#links.get(machine)?.connection === connection) this.#drop(machine);
  }

  // What a PlacedHead needs.

  /** It shall be there, in the place of any other of its name. */
  add(head: PlacedHead): void {
    if (this.#closed) return head.letGo();
    const heads = this.#heads.get(head.machine) ?? new Map<string, PlacedHead>();
    this.#heads.set(head.machine, heads);
    const before = heads.get(head.name);
    if (before !== head) before?.letGo();
    heads.set(head.name, head);
    this.changed(head);
  }

  remove(head: PlacedHead): void {
    const heads = this.#heads.get(head.machine);
    if (heads?.get(head.name) === head) heads.delete(head.name);
    this.changed(head);
  }

  /** Tells its machine, if that is there. @returns the serial of the orders that say so */
  changed({ machine }: Pick<PlacedHead, 'machine'>): number {
    this.#serial++;
    const link = this.#links.get(machine);
    if (link) void this.#order(machine, link);
    return this.#serial;
  }

  /** Whether its machine is heard; what it said last of the head. */
  report({ machine, name }: Pick<PlacedHead, 'machine' | 'name'>): { heard: boolean; report?: HeadReport } {
    const link = this.#links.get(machine);
    const report = link?.reports.get(name);
    return { heard: link !== undefined, ...(report && { report }) };
  }

  /** @throws ROKKA_CHILD_AWAY, ROKKA_CHILD_SILENT, the head's own error */
  async ask(machine: string, question: HeadQuestion): Promise<unknown> {
    const { clock } = this.#options;
    const { name, timeoutMs } = question;
    const link = this.#links.get(machine);
    const id = this.#nextQuestion++;
    const answer = new Deferred<unknown>();
    link?.questions.set(id, answer);
    if (!link?.connection.send(DESK.ASK, id, [encodeJson(question)]))
      answer.reject(rokkaErrors.ROKKA_CHILD_AWAY([name]));
    const cancel = clock.after(timeoutMs, () =>
      answer.reject(rokkaErrors.ROKKA_CHILD_SILENT([name, timeoutMs])),
    );
    return answer.promise.finally(() => (cancel(), link?.questions.delete(id)));
  }

  #hear(machine: string, connection: Connection, { seen, heads }: Heads): void {
    const known = this.#links.get(machine);
    if (known && known.connection !== connection) {
      // Its process has begun anew, or its network has: what the older one says does not count any more.
      known.connection.close();
      this.#drop(machine);
    }
    const { clock, log } = this.#options;
    if (known?.connection !== connection) log('info', `machine ${machine} is heard`);
    const link = this.#links.get(machine) ?? { connection, questions: new Map() };
    const reports = new Map(heads.map((report) => [report.name, report]));
    const heard = Object.assign(link, { heardMs: clock.nowMs(), seen, reports });
    this.#links.set(machine, heard);
    for (const head of this.#heads.get(machine)?.values() ?? []) head.hear(reports.get(head.name), seen);
    void this.#order(machine, heard);
  }

  async #order(machine: string, link: Link): Promise<void> {
    const { log } = this.#options;
    const gone: string[] = [];
    try {
      for (const { name } of link.reports.values())
        if (!(await this.isPlaced(name, machine))) gone.push(name);
    } catch (error) {
      // The registry does not say: nobody is ended for that.
      if (!isCoded(error)) throw error;
      log('warn', `heads on ${machine} are not looked after: ${describeError(error)}`);
    }
    if (this.#closed || this.#links.get(machine) !== link) return;
    const heads = [...(this.#heads.get(machine)?.values() ?? [])];
    const nobodys = gone.filter((name) => !this.#heads.get(machine)?.has(name));
    const orders: Orders = {
      serial: this.#serial,
      orders: heads.map((head) => head.order),
      gone: nobodys,
    };
    if (!link.connection.send(DESK.ORDERS, 0, [encodeJson(orders)])) link.connection.close();
  }

  #onAnswer(machine: string, id: number, body: Uint8Array): void {
    const question = this.#links.get(machine)?.questions.get(id);
    const { value, code, message } = decodeAnswer(body) ?? {};
    if (typeof code === 'string') question?.reject(new CodedError(code, String(message)));
    else question?.resolve(value);
  }

  #drop(machine: string): void {
    const link = this.#links.get(machine);
    if (!link) return;
    this.#links.delete(machine);
    for (const question of link.questions.values())
      question.reject(rokkaErrors.ROKKA_CHILD_AWAY([`machine ${machine}`]));
    if (this.#closed) return;
    this.#options.log('warn', `machine ${machine} is not heard any more`);
    for (const head of this.#heads.get(machine)?.values() ?? []) head.lose();
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.after(LOOK_MS, () => {
      for (const [machine, { connection, heardMs }] of this.#links) {
        if (this.#options.clock.nowMs() - heardMs < AWAY_MS) continue;
        connection.close();
        this.#drop(machine);
      }
      this.#lookLater();
    });
  }
}
