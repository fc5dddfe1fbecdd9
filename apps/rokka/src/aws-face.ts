/** What answers the AWS API on this machine, and what carries out the commands that come in by it. */
import type { SupervisedChild } from './child.ts';
import { agentChild } from './agent-child.ts';
import { compileAhead } from './compile-cache.ts';
import { gatewayChild } from './gateway-child.ts';

export interface AwsFaceOptions {
  readonly directory: string;
  readonly port: number;
  /** Whether commands may run scripts. */
  readonly allowShell: boolean;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class AwsFace implements AsyncDisposable {
  readonly gateway: SupervisedChild;
  readonly agent: SupervisedChild;
  readonly #options: AwsFaceOptions;
  readonly #ending = new AbortController();
  #started: Promise<void> | undefined;
  #agentStarted: Promise<void> | undefined;

  constructor(options: AwsFaceOptions) {
    const { directory, port, allowShell, onLog } = options;
    this.#options = options;
    this.gateway = gatewayChild({
      options: { directory, port },
      onReady: ({ url }) => {
        onLog('info', `the AWS API is answered at ${url}`);
        // Not before, however late that is: what the agent works for the gateway has made.
        if (!this.#ending.signal.aborted) this.#agentStarted ??= this.agent.start().catch(() => {});
      },
      onLog,
    });
    this.agent = agentChild({ options: { directory, gatewayPort: port, allowShell }, onLog });
  }

  /** Databases need it for nothing, so nobody waits; why something does not run stands in the log. */
  start(): void {
    this.#started = this.#start().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    // What it does it does with the gateway.
    await this.agent[Symbol.asyncDispose]();
    await this.gateway[Symbol.asyncDispose]();
    await this.#started;
    await this.#agentStarted;
  }

  kill(): void {
    this.#ending.abort();
    this.agent.kill();
    this.gateway.kill();
  }

  async #start(): Promise<void> {
    const { signal } = this.#ending;
    await compileAhead({ program: 'gateway', dataDirectory: this.#options.directory, signal });
    if (!signal.aborted) await this.gateway.start();
  }
}
