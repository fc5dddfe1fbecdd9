/**
 * The joined machine's side of heads that it runs for volumes which are placed on it: starts and ends them as the desk orders, and tells the
 * desk what they are, again and again. While the desk is away those that run go on. What a supervisor that was killed left is taken away
 * when the next one begins, and begun anew when the desk orders it.
 */
import { describeError, isCoded, must, systemClock, systemRandom } from '@rokka/kernel';
import { type Connection, type ConnectionHandler, type Frame, Reconnector } from '@rokka/transport';
import { sweepMounts } from '../../databases/volume-mounts.ts';
import { rokkaErrors } from '../../errors.ts';
import { DESK, encodeJson, REGISTER_EVERY_MS } from '../desk-messages.ts';
import {
  AWAY_MS,
  decodeOrders,
  decodeQuestion,
  type HeadOrder,
  type Heads,
  isSameRun,
  type Orders,
} from './head-orders.ts';
import { OrderedHead, type OrderedHeadOptions } from './ordered-head.ts';

const QUESTIONS_MAX = 256;

export type OrderedHeadsOptions = Omit<OrderedHeadOptions, 'onChanged'>;

export class OrderedHeads implements AsyncDisposable {
  readonly #options: OrderedHeadsOptions;
  readonly #heads = new Map<string, OrderedHead>();
  #orders: Orders = { serial: 0, orders: [], gone: [] };
  #link: Reconnector | undefined;
  /** When the desk was heard last, on this connection. */
  #heardMs = 0;
  #questions = 0;
  #cancelTell = () => {};
  #stopping = false;

  constructor(options: OrderedHeadsOptions) {
    this.#options = options;
  }

  /** Begins with nothing: it is told what shall run. */
  async start(): Promise<void> {
    const { data, network } = this.#options;
    await this.#sweep();
    if (this.#stopping) return;
    this.#link = new Reconnector({
      network,
      address: must(data.identity.joined).desk,
      clock: systemClock,
      random: systemRandom,
      handler: (connection) => this.#handler(connection),
    });
    this.#tellLater();
  }

  get count(): number {
    return this.#heads.size;
  }

  kill(): void {
    this.#stopping = true;
    for (const head of this.#heads.values()) head.kill();
  }

  /** In good order: they need their nodes for that, and the desk for the last of their archives. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#cancelTell();
    await this.#link?.[Symbol.asyncDispose]();
    await Promise.all([...this.#heads.values()].map((head) => head.end('in-order')));
    await this.#sweep();
  }

  #handler(connection: Connection): ConnectionHandler {
    const { peerIdentity } = connection;
    const isDesk = peerIdentity?.role === 'authority';
    this.#heardMs = systemClock.nowMs();
    // Of the desk that answers now nothing was heard yet.
    this.#orders = { ...this.#orders, serial: 0 };
    if (isDesk) systemClock.soon(() => this.#tell());
    else connection.close();
    return {
      onFrame: (same, frame) => {
        if (!isDesk) return;
        this.#heardMs = systemClock.nowMs();
        this.#onFrame(same, frame);
      },
      onClose: () => {},
    };
  }

  #onFrame(connection: Connection, { type, requestId, body }: Frame): void {
    if (type === DESK.ASK) return void this.#answer(connection, requestId, body);
    const orders = type === DESK.ORDERS ? decodeOrders(body) : undefined;
    if (!orders) return connection.close();
    const isNews = orders.serial !== this.#orders.serial;
    this.#orders = orders;
    this.#follow();
    // It may be waiting for the word that these have come.
    if (isNews) this.#tell();
  }

  /** Brings what runs towards the last orders. Each end is followed by another look. */
  #follow(): void {
    if (this.#stopping) return;
    const { orders, gone } = this.#orders;
    for (const name of gone) this.#end(name, 'at-once');
    for (const order of orders) {
      const running = this.#heads.get(order.name);
      if (order.ends) this.#end(order.name, order.ends);
      else if (!running) this.#beginUnlessTaken(order);
      else if (!isSameRun(running.order, order)) this.#end(order.name, 'at-once');
    }
  }

  /** What ends takes its mount away last: whoever mounts at the same place comes after that. */
  #beginUnlessTaken(order: HeadOrder): void {
    const at = order.options.files?.mountPoint;
    const ending = [...this.#heads.values()].filter(({ isEnding }) => isEnding);
    if (at === undefined || ending.every(({ mountPoint }) => mountPoint !== at)) this.#begin(order);
  }

  #begin(order: HeadOrder): void {
    const { onLog } = this.#options;
    onLog('info', `volume ${order.name} is to be here`);
    const onChanged = () => this.#tell();
    this.#heads.set(order.name, new OrderedHead(order, { ...this.#options, onChanged }));
  }

  #end(name: string, how: 'in-order' | 'at-once'): void {
    const head = this.#heads.get(name);
    if (!head) return;
    const isFirst = !head.isEnding;
    const ended = head.end(how);
    if (!isFirst) return;
    void ended.then(() => {
      this.#heads.delete(name);
      this.#options.onLog('info', `volume ${name} is not here any more`);
      this.#follow();
      this.#tell();
    });
  }

  async #answer(connection: Connection, id: number, body: Uint8Array): Promise<void> {
    const question = decodeQuestion(body);
    if (!question || this.#questions >= QUESTIONS_MAX) return connection.close();
    this.#questions++;
    const { name, what, timeoutMs, argument } = question;
    try {
      const head = this.#heads.get(name);
      if (!head?.report.ready) throw rokkaErrors.ROKKA_CHILD_AWAY([name]);
      const value = await head.ask(what, timeoutMs, argument);
      connection.send(DESK.ASKED, id, [encodeJson({ value })]);
    } catch (error) {
      if (!isCoded(error)) throw error;
      const { code, message } = error;
      connection.send(DESK.ASKED, id, [encodeJson({ code, message })]);
    } finally {
      this.#questions--;
    }
  }

  #tell(): void {
    const connection = this.#link?.connection;
    if (!connection || this.#stopping) return;
    const heads: Heads = {
      seen: this.#orders.serial,
      heads: [...this.#heads.values()].map(({ report }) => report),
    };
    connection.send(DESK.HEADS, 0, [encodeJson(heads)]);
  }

  #tellLater(): void {
    this.#cancelTell = systemClock.after(REGISTER_EVERY_MS, () => {
      const connection = this.#link?.connection;
      const silentMs = systemClock.nowMs() - this.#heardMs;
      // The network may have lost it without a word.
      if (connection && silentMs > AWAY_MS)
        connection.close(rokkaErrors.ROKKA_DESK_SILENT([connection.peer, Math.round(silentMs)]));
      else this.#tell();
      this.#tellLater();
    });
  }

  async #sweep(): Promise<void> {
    try {
      await sweepMounts(this.#options.data.cluster);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#options.onLog('warn', describeError(error));
    }
  }
}
