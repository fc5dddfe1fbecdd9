/** A bucket that all machines of a test network reach: a server of S3 on one of them, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { S3Server } from '@rokka/archive/testing';
import { deadline, must } from '@rokka/kernel';
import type { TestNet } from './netns.ts';

const READY_MS = 180_000;

export class S3OnMachine implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly endpoint: string;

  private constructor(child: ChildProcess, endpoint: string) {
    this.#process = child;
    this.endpoint = endpoint;
  }

  static async start(net: TestNet, machine: number): Promise<S3OnMachine> {
    const [command, ...prefix] = net.prefix(machine);
    const words = [...prefix, process.execPath, import.meta.filename, net.host(machine)];
    const child = spawn(must(command), words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const said = once(createInterface(must(child.stdout)), 'line');
    const [endpoint] = (await deadline(said, { what: 'the bucket', ms: READY_MS })) as [string];
    return new S3OnMachine(child, endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

/** Run on the machine itself. */
if (process.argv[1] === import.meta.filename)
  console.log((await S3Server.start(must(process.argv[2]))).endpoint);
