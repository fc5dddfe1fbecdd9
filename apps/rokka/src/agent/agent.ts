/**
 * The agent of a machine: says that it is there, looks for what it shall carry out, and has it carried out, several documents at
 * once. Its memory is the registry: after a crash it finds there what it had begun.
 */
import { type Clock, describeError, isCoded } from '@rokka/kernel';
import type { AgentFacts, CommandDesk, Delivery } from '@rokka/services';
import type { Actions } from './action.ts';
import { carryOut } from './invocation.ts';

const LOOK_MS = 500;
const HELLO_MS = 15_000;
/** Documents at once. */
const RUNNING_MAX = 8;

export interface AgentOptions {
  readonly desk: CommandDesk;
  readonly actions: Actions;
  readonly clock: Clock;
  /** What it says of itself, as it is now. */
  facts(): AgentFacts;
  log(text: string): void;
}

export class Agent implements AsyncDisposable {
  readonly #options: AgentOptions;
  readonly #ending = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #loop: Promise<void> | undefined;
  #saidAtMs = -HELLO_MS;
  #saidPackages = '';
  #complaint = '';

  private constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** Resolves when the desk knows it. @throws errors of the registry */
  static async start(options: AgentOptions): Promise<Agent> {
    const agent = new Agent(options);
    await agent.#hello();
    agent.#loop = agent.#run();
    return agent;
  }

  get running(): number {
    return this.#running.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('the agent ends'));
    await this.#loop;
    await Promise.allSettled(this.#running.values());
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#look();
        this.#complaint = '';
      } catch (error) {
        // The registry is away: it says so once.
        if (!isCoded(error)) throw error;
        const text = `commands are not looked for: ${describeError(error)}`;
        if (text !== this.#complaint) log((this.#complaint = text));
      }
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { clock, desk, facts } = this.#options;
    const packages = JSON.stringify(facts().packages);
    if (packages !== this.#saidPackages || clock.nowMs() - this.#saidAtMs >= HELLO_MS) await this.#hello();
    for (const delivery of await desk.deliveries(facts().machineKey)) {
      const id = `${delivery.command}/${delivery.instance}`;
      if (this.#running.has(id) || this.#running.size >= RUNNING_MAX || this.#ending.signal.aborted) continue;
      if (delivery.begunAtMs === undefined && !(await desk.begin(delivery))) continue;
      this.#running.set(
        id,
        this.#carryOut(delivery).finally(() => this.#running.delete(id)),
      );
    }
  }

  async #hello(): Promise<void> {
    const { clock, desk, facts } = this.#options;
    const now = facts();
    await desk.hello(now);
    this.#saidAtMs = clock.nowMs();
    this.#saidPackages = JSON.stringify(now.packages);
  }

  /** Where the registry went away meanwhile, it is found among the deliveries again. */
  async #carryOut(delivery: Delivery): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#ending;
    try {
      await carryOut(delivery, { ...this.#options, signal });
    } catch (error) {
      if (signal.aborted) return;
      if (!isCoded(error)) throw error;
      log(`command ${delivery.command} is cut short: ${describeError(error)}`);
    }
  }
}
