/**
 * Looks after nodes of this machine whose data is not there, while anybody else runs: starts them when it is back, sees to
 * spares that can replace them, and writes them off when they hold nothing any more (missing-nodes.ts says why only then).
 * It also keeps as many spares as a person wants.
 */
import { type Clock, CodedError, describeError, isCoded, type NodeId, type Zone } from '@rokka/kernel';
import type { NodeRecord } from './cluster.ts';
import { idleNodes, membersAmong, type NodeFacts, unreadableGroups, zonesInWant } from './missing-nodes.ts';

const LOOK_AGAIN_MS = 1_000;

export interface NodeKeeperOptions {
  clock: Clock;
  /** As the registry has them now. @throws what the registry throws */
  facts(): Promise<Omit<NodeFacts, 'missing'>>;
  /** Whether the node's directory has what the node wrote. */
  holdsData(record: NodeRecord): boolean;
  /** Its data is back. Failing, the node is taken in here again. */
  restart(record: NodeRecord): void;
  /** One more node for a zone, running. */
  add(zone: Zone): Promise<NodeRecord>;
  /** The node is a member of nothing. */
  writeOff(ordinal: number): Promise<void>;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class NodeKeeper implements AsyncDisposable {
  readonly #options: NodeKeeperOptions;
  readonly #lost = new Map<NodeId, { record: NodeRecord; mayReturn: boolean }>();
  readonly #stop = new AbortController();
  /** How many spares each zone is to have; undefined before the registry has said it. */
  #perZone: number | undefined;
  #wishes = 0;
  #begun = false;
  #running: Promise<void> | undefined;
  #lastComplaint = '';

  constructor(options: NodeKeeperOptions) {
    this.#options = options;
  }

  get missing(): ReadonlySet<NodeId> {
    return new Set(this.#lost.keys());
  }

  has(node: NodeId): boolean {
    return this.#lost.has(node);
  }

  /** @param mayReturn whether it can be seen that its data is back: of a directory that is damaged it can't */
  take(record: NodeRecord, mayReturn: boolean): void {
    if (this.#stop.signal.aborted) return;
    this.#lost.set(record.node, { record, mayReturn });
    this.#run();
  }

  /** The node was taken out of the cluster. */
  forget(node: NodeId): void {
    this.#lost.delete(node);
  }

  /** All others had the time to start: from here on something is done for those that are lost, and for spares. */
  begin(): void {
    this.#begun = true;
    this.#run();
  }

  /** The wish for spares is another one. */
  wishChanged(): void {
    this.#wishes++;
    this.#perZone = undefined;
    this.#run();
  }

  /** Nothing is begun from here on. */
  stop(): void {
    this.#stop.abort(new CodedError('ROKKA_STOPPED', 'told to stop'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#running;
  }

  #run(): void {
    if (!this.#begun || !this.#hasWork) return;
    this.#running ??= this.#lookAfter().finally(() => (this.#running = undefined));
  }

  get #hasWork(): boolean {
    return this.#lost.size > 0 || this.#perZone !== 0;
  }

  async #lookAfter(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#hasWork) {
      try {
        await this.#look();
      } catch (error) {
        // The registry does not answer, or a spare does not start: tried again.
        if (!isCoded(error)) throw error;
        this.#complain('error', `nothing can be done for ${this.#purpose}: ${describeError(error)}`);
      }
      await this.#options.clock.sleep(LOOK_AGAIN_MS, signal).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    this.#restartReturned();
    if (!this.#hasWork) return;
    const wishes = this.#wishes;
    const facts = await this.#facts();
    // What was read before the last change of the wish may be the wish before.
    if (wishes === this.#wishes) this.#perZone = facts.spares?.perZone ?? 0;
    const lost = facts.records.filter(({ node }) => facts.missing.has(node));
    const unreadable = unreadableGroups(facts);
    if (unreadable.length > 0) {
      const databases = [...new Set(unreadable.map(({ name }) => name))].join(', ');
      const waiting = ordinals(membersAmong(lost, unreadable));
      this.#complain(
        'error',
        `too few copies of ${databases} are left without node ${waiting}: nothing is done before that data is back`,
      );
    }
    for (const zone of zonesInWant(facts)) await this.#addTo(zone, lost);
    if (idleNodes(facts).length === 0) return;
    // Spares took their time to start: who is a member of something by then is not written off.
    for (const record of idleNodes(await this.#facts())) await this.#writeOff(record);
  }

  async #facts(): Promise<NodeFacts> {
    return { ...(await this.#options.facts()), missing: this.missing };
  }

  get #purpose(): string {
    return this.#lost.size > 0 ? 'nodes that miss their data' : 'spares';
  }

  #restartReturned(): void {
    const { holdsData, restart, onLog } = this.#options;
    for (const [node, { record, mayReturn }] of this.#lost) {
      if (!mayReturn || !holdsData(record)) continue;
      this.#lost.delete(node);
      onLog('warn', `the data of node ${record.ordinal} is back: it starts`);
      restart(record);
    }
  }

  async #addTo(zone: Zone, lost: readonly NodeRecord[]): Promise<void> {
    const { add, onLog } = this.#options;
    if (this.#stop.signal.aborted) return;
    const { ordinal } = await add(zone);
    const place = ordinals(lost.filter((one) => one.zone === zone));
    if (place === '') return onLog('info', `node ${ordinal} runs in zone ${zone} as a spare`);
    onLog(
      'warn',
      `node ${ordinal} comes in place of node ${place} in zone ${zone}, and copies from the others, unless that data is back first`,
    );
  }

  async #writeOff({ node, ordinal, zone }: NodeRecord): Promise<void> {
    // It may have come back, or have been taken out by hand, while spares were started.
    if (this.#stop.signal.aborted || !this.#lost.has(node)) return;
    await this.#options.writeOff(ordinal);
    this.#lost.delete(node);
    this.#options.onLog(
      'warn',
      `node ${ordinal} in zone ${zone} holds nothing that is needed: it is written off`,
    );
  }

  #complain(level: 'error', text: string): void {
    if (this.#stop.signal.aborted || text === this.#lastComplaint) return;
    this.#lastComplaint = text;
    this.#options.onLog(level, text);
  }
}

const ordinals = (records: readonly NodeRecord[]) => records.map(({ ordinal }) => ordinal).join(', ');
