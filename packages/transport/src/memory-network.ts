/**
 * A network within the process, for tests and simulation: the same interface and the same order of events as
 * unix-network.ts, every delivery by the clock that is passed in, so that a virtual clock makes it deterministic.
 *
 * Links lie between names. A process (or machine) sees the network through `endpoint(name)`; used directly, the network
 * connects as `local`, and a listener's name is its address. Links can be cut (connections break), held (nothing is
 * lost, nothing arrives) and delayed; an endpoint can be killed.
 */
import { deadline, Deferred, type Clock } from '@rokka/kernel';
import type { Connection, ConnectionHandler, Listener, Network } from './connection.ts';
import { transportErrors } from './errors.ts';
import { MemoryConnection, type Link, type MemoryLinks, type NetworkObserver } from './memory-connection.ts';

type Accept = (connection: Connection) => ConnectionHandler;

interface Endpoint {
  readonly name: string;
  /** Of the process: it may be slower than the network's, or stand still. */
  readonly clock: Clock;
}

interface MemoryListener extends Endpoint {
  readonly accept: Accept;
}

export interface MemoryNetworkOptions {
  clock: Clock;
  /** How long a frame is on its way; asked for each. Order within a connection is kept whatever it answers. Default 0. */
  delayMs?: (link: Link) => number;
  /** As in unixNetwork; here it bounds what is on its way, whatever one frame takes. Default 16 MiB. */
  sendLimitBytes?: number;
  observer?: NetworkObserver;
}

/** No name has a line break. */
const keyOf = (link: Link) => `${link.from}\n${link.to}`;

export class MemoryNetwork implements Network {
  readonly #links: MemoryLinks;
  readonly #listeners = new Map<string, MemoryListener>();
  /** Every side that is open or has frames on their way, with the listener that owns it. */
  readonly #connections = new Map<MemoryConnection, MemoryListener | undefined>();
  readonly #held = new Set<string>();
  readonly #cut = new Set<string>();
  #made = 0;

  constructor(options: MemoryNetworkOptions) {
    const { clock, delayMs = () => 0, sendLimitBytes = 16 * 1024 * 1024, observer = {} } = options;
    const isHeld = (link: Link) => this.#held.size > 0 && this.#held.has(keyOf(link));
    this.#links = { clock, sendLimitBytes, delayMs, isHeld, observer };
  }

  /** The network as the process `name` sees it; `clock` is the process's own, where it has one. */
  endpoint(name: string, options: { clock?: Clock } = {}): Network {
    const endpoint = { name, clock: options.clock ?? this.#links.clock };
    return {
      listen: async (address, accept) => this.#listen(endpoint, address, accept),
      connect: (address, handler, { timeoutMs }) =>
        this.#connect({ ...endpoint, address, timeoutMs }, handler),
    };
  }

  async listen(address: string, accept: Accept): Promise<Listener> {
    return this.#listen({ name: address, clock: this.#links.clock }, address, accept);
  }

  connect(address: string, handler: ConnectionHandler, options: { timeoutMs: number }): Promise<Connection> {
    const { clock } = this.#links;
    return this.#connect({ name: 'local', clock, address, timeoutMs: options.timeoutMs }, handler);
  }

  /** Breaks every connection between two names, both ways, and refuses new ones until `heal`. */
  cut(a: string, b: string): void {
    for (const link of [
      { from: a, to: b },
      { from: b, to: a },
    ]) {
      this.#cut.add(keyOf(link));
      for (const connection of this.#between(link)) connection.lose({ why: 'the link was cut' });
    }
  }

  /**
   * What goes from one name to another on the connections that there are takes so much longer from now on: it lies in buffers of the
   * way, or unread in those of the other side. Connections that are made later are as fast as ever.
   */
  lag(from: string, to: string, ms: number): void {
    for (const side of this.#between({ from, to })) side.lag(ms);
  }

  /**
   * One side gives up every connection between the two, hears that they are gone, and may make new ones at once. What it has sent
   * arrives still; where it lags, behind what comes on the new ones.
   */
  giveUp(from: string, to: string): void {
    for (const side of this.#between({ from, to })) side.part('ECONNRESET');
    for (const side of this.#between({ from: to, to: from })) side.abandon();
  }

  /** Breaks every connection between two names, both ways: what was on its way is lost. New ones may be made at once. */
  reset(a: string, b: string): void {
    for (const link of [
      { from: a, to: b },
      { from: b, to: a },
    ])
      for (const connection of this.#between(link)) connection.lose({ why: 'ECONNRESET' });
  }

  /** Frames from one name to another stay on their way until `heal`; nobody is told. */
  hold(from: string, to: string): void {
    this.#held.add(keyOf({ from, to }));
  }

  /** Undoes `hold`. */
  release(from: string, to: string): void {
    this.#held.delete(keyOf({ from, to }));
    for (const connection of this.#between({ from, to })) connection.resume();
  }

  /** Undoes `cut` and `hold` between two names. */
  heal(a: string, b: string): void {
    for (const link of [
      { from: a, to: b },
      { from: b, to: a },
    ]) {
      this.#cut.delete(keyOf(link));
      this.#held.delete(keyOf(link));
      for (const connection of this.#between(link)) connection.resume();
    }
  }

  /**
   * The process `name` is killed: its handlers are not called again, the other sides see their connections break. What it
   * had sent is lost, unless `sentArrives`: then the other sides learn of its end behind it.
   */
  kill(name: string, options: { sentArrives?: boolean } = {}): void {
    for (const [address, listener] of this.#listeners) {
      if (listener.name === name) this.#listeners.delete(address);
    }
    for (const connection of this.#connections.keys()) {
      const { from, to } = connection.link;
      if (options.sentArrives) {
        if (from === name) connection.vanish();
        if (to === name) connection.abandon();
      } else if (from === name) this.#forget(connection, { why: 'ECONNRESET', silent: true });
      else if (to === name) this.#forget(connection, { why: 'ECONNRESET' });
    }
  }

  async #listen(endpoint: Endpoint, address: string, accept: Accept): Promise<Listener> {
    if (this.#listeners.has(address))
      throw transportErrors.TRANSPORT_ADDRESS_USED([address, 'another process listens there']);
    const listener: MemoryListener = { ...endpoint, accept };
    this.#listeners.set(address, listener);
    return {
      address,
      [Symbol.asyncDispose]: async () => {
        if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
        for (const [connection, owner] of this.#connections) if (owner === listener) connection.close();
      },
    };
  }

  async #connect(
    from: Endpoint & { address: string; timeoutMs: number },
    handler: ConnectionHandler,
  ): Promise<Connection> {
    const { name, clock, address, timeoutMs } = from;
    const opened = new Deferred<Connection>();
    const refuse = (why: string) => opened.reject(transportErrors.TRANSPORT_UNREACHABLE([address, why]));
    let near: MemoryConnection | undefined;
    let late = false;
    const arrive = () => {
      const listener = this.#listeners.get(address);
      const link = { from: name, to: listener?.name ?? address };
      if (this.#cut.has(keyOf(link))) return refuse('the link is cut');
      if (!listener) return refuse('nobody listens there');
      if (late || this.#links.isHeld(link)) return;
      near = new MemoryConnection({
        peer: address,
        link: { ...link, connection: ++this.#made },
        links: this.#links,
        clock,
        onOpen: (connection) => {
          opened.resolve(connection);
          return handler;
        },
        onRefused: (reason) => refuse(reason.message),
      });
      this.#accept(near, listener);
    };
    const to = this.#listeners.get(address)?.name ?? address;
    this.#links.clock.after(this.#links.delayMs({ from: name, to }), arrive, { keepAlive: true });
    try {
      return await deadline(opened.promise, { what: `connecting to ${address}`, ms: timeoutMs, clock });
    } catch (error) {
      late = true;
      near?.close();
      throw error;
    }
  }

  #accept(near: MemoryConnection, listener: MemoryListener): void {
    const far = new MemoryConnection({
      peer: near.peer,
      link: { from: near.link.to, to: near.link.from, connection: near.link.connection },
      links: this.#links,
      clock: listener.clock,
      onOpen: listener.accept,
      onRefused: () => {},
    });
    // Finished sides are swept here, where the map grows, so that it stays as small as what is open.
    for (const old of this.#connections.keys()) if (old.finished) this.#connections.delete(old);
    this.#connections.set(near, undefined).set(far, listener);
    near.join(far);
  }

  #forget(connection: MemoryConnection, end: { why: string; silent?: boolean }): void {
    connection.lose(end);
    this.#connections.delete(connection);
  }

  #between(link: Link): MemoryConnection[] {
    return [...this.#connections.keys()].filter(
      (connection) => connection.link.from === link.from && connection.link.to === link.to,
    );
  }
}
