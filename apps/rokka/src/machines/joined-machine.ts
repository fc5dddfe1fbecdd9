/**
 * A machine that joined: one storage node, kept running, and registered at the desk again and again; and the heads of volumes that are
 * placed on it (heads/ordered-heads.ts). The node serves whether the desk answers or not; only what the desk refuses for good ends it.
 */
import * as fs from 'node:fs';
import {
  CodedError,
  Deferred,
  describeError,
  isCoded,
  must,
  type NodeId,
  systemClock,
  systemRandom,
  type Zone,
} from '@rokka/kernel';
import { type Network, tlsNetwork } from '@rokka/transport';
import { readIdentityFile } from '@rokka/trust';
import type { SupervisedChild } from '../child.ts';
import { type DataDirectory, dataPaths, type JoinedIdentity, writeDurably } from '../data-directory.ts';
import type { NodeProcessOptions } from '../processes/node-process.ts';
import type { JoinedStatus, NodeStatus } from '../status.ts';
import { canGuard, storageNodeChild } from '../storage-node-child.ts';
import { recordedAddress } from './cluster-network.ts';
import { registerAt } from './desk-client.ts';
import { OrderedHeads } from './heads/ordered-heads.ts';
import { PROTOCOL, REGISTER_EVERY_MS, type Registered } from './desk-messages.ts';
import { formatListen, type ListenAddress } from './listen-address.ts';
import { SILENT_MS } from './registrar.ts';

/** In its own directory it is the first and only node. */
const ORDINAL = 1;
/** A new machine is registered by then, or its start fails: a person waits. */
const FIRST_MS = 60_000;
/** A second process is refused for as long as the first is heard; one that was killed just now has to be forgotten first. */
const TWICE_MS = SILENT_MS + 2 * REGISTER_EVERY_MS;
const FINAL = ['ROKKA_NODE_REMOVED', 'ROKKA_PROTOCOL_OTHER', 'ROKKA_HOST_CHANGED', 'ROKKA_MEMBER_UNKNOWN'];

export interface JoinedMachineOptions {
  data: DataDirectory;
  listen: ListenAddress;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class JoinedMachine implements AsyncDisposable {
  readonly #options: JoinedMachineOptions;
  readonly #joined: JoinedIdentity;
  readonly #network: Network;
  readonly #child: SupervisedChild;
  readonly #heads: OrderedHeads;
  readonly #failed = new Deferred<CodedError>();
  readonly #stop = new AbortController();
  readonly #instance = systemRandom.hex(8);
  #registered: Registered | undefined;
  #lastHeardMs: number | undefined;
  #lastError: CodedError | undefined;
  #registering: Promise<void> | undefined;

  /** Starts nothing yet. */
  constructor(options: JoinedMachineOptions) {
    const { data, onLog } = options;
    this.#options = options;
    this.#joined = must(data.identity.joined);
    this.#registered = readRegistration(data.path);
    this.#network = tlsNetwork({
      clock: systemClock,
      random: systemRandom,
      // The node's process renews it; a registration every few seconds may read a file.
      identity: () => readIdentityFile(this.#certificate),
    });
    this.#child = storageNodeChild({
      directory: data.path,
      ordinal: ORDINAL,
      guarded: canGuard(),
      options: () => this.#processOptions(),
      onLog,
      onFinal: (error) => this.#failed.resolve(error),
    });
    const { host } = options.listen;
    this.#heads = new OrderedHeads({ data, network: this.#network, host, onLog });
  }

  /** Resolves with the reason if the machine cannot take part any more. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  /** Resolves when the node serves and, the first time, the cluster knows it. @throws what the child throws, what the desk refuses */
  async start(): Promise<Registered> {
    await this.#child.start();
    this.#options.onProgress(`registering at ${this.#joined.desk}`);
    await this.#register();
    this.#registering = this.#registerForEver();
    await this.#heads.start();
    return must(this.#registered);
  }

  async status(): Promise<JoinedStatus> {
    const { id, zone, desk } = this.#joined;
    const { listen, data } = this.#options;
    const detail = (await this.#child.status()) as NodeStatus['detail'];
    const node = {
      node: id,
      zone,
      ordinal: this.#registered?.ordinal ?? 0,
      made: true,
      machine: id,
      address: recordedAddress(formatListen(listen)),
      leaving: this.#registered?.leaving ?? false,
      pid: this.#child.pid,
      restarts: this.#child.restarts,
      error: this.#lastError?.message,
      detail,
    } as NodeStatus;
    const sinceHeardMs =
      this.#lastHeardMs === undefined ? undefined : systemClock.nowMs() - this.#lastHeardMs;
    const { bavail, bsize } = fs.statfsSync(data.path);
    return {
      joined: this.#joined.as,
      cluster: data.cluster,
      pid: process.pid,
      desk,
      node,
      freeBytes: bavail * bsize,
      ...(sinceHeardMs !== undefined && { sinceHeardMs }),
    };
  }

  kill(): void {
    this.#heads.kill();
    this.#child.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError('ROKKA_STOPPED', 'told to stop'));
    // They need the node to make their last writes durable.
    await this.#heads[Symbol.asyncDispose]();
    await this.#child[Symbol.asyncDispose]();
    await this.#registering;
  }

  get #certificate(): string {
    return dataPaths.certificate(this.#options.data.path, `node-${ORDINAL}`);
  }

  #processOptions(): NodeProcessOptions {
    const { data, listen } = this.#options;
    const { id, zone, desk } = this.#joined;
    return {
      cluster: data.cluster,
      node: id as NodeId,
      zone: zone as Zone,
      directory: dataPaths.node(data.path, ORDINAL),
      socketDirectory: dataPaths.sockets(data.path),
      address: dataPaths.nodeSocketName(ORDINAL),
      // Whoever was registered has had a directory.
      made: this.#registered !== undefined,
      remote: {
        certificate: this.#certificate,
        desk,
        listen: formatListen(listen),
        neighbours: {},
      },
    };
  }

  /** A machine that was known before goes on without the desk; it will be back. */
  async #register(): Promise<void> {
    const startedMs = systemClock.nowMs();
    for (;;) {
      try {
        return await this.#registerOnce();
      } catch (error) {
        if (!isCoded(error) || isFinal(error)) throw error;
        const waitedMs = systemClock.nowMs() - startedMs;
        const twice = error.code === 'ROKKA_NODE_TWICE';
        if (twice && waitedMs > TWICE_MS) throw error;
        if (!twice && this.#registered) return;
        if (!twice && waitedMs > FIRST_MS) throw error;
        this.#options.onProgress(describeError(error));
        await systemClock.sleep(REGISTER_EVERY_MS, this.#stop.signal);
      }
    }
  }

  async #registerForEver(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await systemClock.sleep(REGISTER_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.#registerOnce();
      } catch (error) {
        if (!isCoded(error)) throw error;
        if (isFinal(error) || error.code === 'ROKKA_NODE_TWICE') return this.#failed.resolve(error);
      }
    }
  }

  async #registerOnce(): Promise<void> {
    const { data, listen, onLog } = this.#options;
    try {
      const registered = await registerAt(this.#joined.desk, this.#network, {
        protocol: PROTOCOL,
        address: formatListen(listen),
        instance: this.#instance,
      });
      if (registered.ordinal !== this.#registered?.ordinal) writeRegistration(data.path, registered);
      if (this.#lastError) onLog('info', `registered at ${this.#joined.desk} again`);
      this.#registered = registered;
      this.#lastHeardMs = systemClock.nowMs();
      this.#lastError = undefined;
    } catch (error) {
      if (!isCoded(error)) throw error;
      // People hear of each reason once.
      if (this.#lastError?.code !== error.code) onLog('warn', `not registered: ${describeError(error)}`);
      this.#lastError = error;
      throw error;
    }
  }
}

const isFinal = ({ code }: CodedError): boolean => FINAL.includes(code);

function readRegistration(directory: string): Registered | undefined {
  const file = dataPaths.registration(directory);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as Registered) : undefined;
}

function writeRegistration(directory: string, registered: Registered): void {
  writeDurably(dataPaths.registration(directory), `${JSON.stringify(registered)}\n`);
}
