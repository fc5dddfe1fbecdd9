/** A head that a joined machine was ordered to run: its certificate, its process, and what is told of it. */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { type CodedError, describeError, isCoded, must, systemClock } from '@rokka/kernel';
import { identityOfCertificate, type Network, placedHeadId } from '@rokka/transport';
import {
  checkIssued,
  makeKey,
  makeRequest,
  readIdentityFile,
  renewalDueMs,
  writeIdentityFile,
} from '@rokka/trust';
import type { SupervisedChild } from '../../child.ts';
import { type DataDirectory, dataPaths } from '../../data-directory.ts';
import { headChild } from '../../databases/head-child.ts';
import type { FilesDetail } from '../../processes/engine.ts';
import type { HeadProcessOptions } from '../../processes/head-process.ts';
import { certificateAt } from '../desk-client.ts';
import { REGISTER_EVERY_MS } from '../desk-messages.ts';
import type { HeadOrder, HeadReport, Said } from './head-orders.ts';

export interface OrderedHeadOptions {
  readonly data: DataDirectory;
  /** As this machine. */
  readonly network: Network;
  /** Where this machine may serve. */
  readonly host: string;
  onChanged(): void;
  onLog(level: 'info' | 'warn' | 'error', text: string): void;
}

export class OrderedHead {
  readonly order: HeadOrder;
  readonly #options: OrderedHeadOptions;
  readonly #stop = new AbortController();
  readonly #starting: Promise<void>;
  #child: SupervisedChild | undefined;
  #detail: FilesDetail | undefined;
  #progress = '';
  #why: CodedError | undefined;
  #final: CodedError | undefined;
  #ended: Promise<void> | undefined;

  /** Starts at once. */
  constructor(order: HeadOrder, options: OrderedHeadOptions) {
    this.order = order;
    this.#options = options;
    this.#starting = this.#start();
  }

  get report(): HeadReport {
    const { name, generation, nonce } = this.order;
    const { pid, ready = false, restarts = 0, lastError } = this.#child ?? {};
    const why = ready ? undefined : (lastError ?? this.#why);
    return {
      name,
      generation,
      nonce,
      ready: ready && !this.#ended,
      restarts,
      progress: this.#progress,
      ...(pid !== undefined && { pid }),
      ...(this.#detail && { detail: this.#detail }),
      ...(why && { why: saidOf(why) }),
      ...(this.#final && { final: saidOf(this.#final) }),
    };
  }

  /** Where it mounts. */
  get mountPoint(): string | undefined {
    return this.order.options.files?.mountPoint;
  }

  get isEnding(): boolean {
    return this.#ended !== undefined;
  }

  /** @throws ROKKA_CHILD_AWAY, ROKKA_CHILD_SILENT, the head's own error */
  async ask(what: string, timeoutMs: number, argument: unknown): Promise<unknown> {
    if (what === 'status') return this.#child?.status();
    const answer = await must(this.#child).ask(what, timeoutMs, argument);
    // Whoever hears of this machine later must know it, too.
    if (what === 'resize') this.#detail = answer as FilesDetail;
    return answer;
  }

  /** Ends it with all that it had. Said again, it may only become quicker. */
  end(how: 'in-order' | 'at-once'): Promise<void> {
    this.#stop.abort();
    if (how === 'at-once') this.#child?.kill();
    this.#ended ??= this.#end();
    return this.#ended;
  }

  /** Without asking: the machine's supervisor ends likewise. */
  kill(): void {
    this.#stop.abort();
    this.#child?.kill();
  }

  async #end(): Promise<void> {
    await this.#starting;
    await this.#child?.[Symbol.asyncDispose]();
    fs.rmSync(this.#certificate, { force: true });
  }

  async #start(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#certify();
        break;
      } catch (error) {
        if (!isCoded(error)) throw error;
        this.#tell({ why: error });
        await systemClock.sleep(REGISTER_EVERY_MS, signal).catch(() => {});
      }
    }
    if (signal.aborted) return;
    this.#child = this.#make();
    // What it came to is told by what it is.
    this.#child.start().catch(() => {});
  }

  #make(): SupervisedChild {
    const { onLog, onChanged } = this.#options;
    const { name } = this.order;
    return headChild({
      options: () => this.#processOptions(),
      name: `head of volume ${name}`,
      mount: this.mountPoint === undefined ? undefined : { volume: name, at: this.mountPoint },
      spare: false,
      onReady: (detail) => {
        this.#detail = detail as FilesDetail;
        this.#progress = '';
        onChanged();
      },
      onLost: onChanged,
      onFinal: (final) => {
        this.#final = final;
        onChanged();
      },
      onProgress: (text) => {
        this.#progress = text;
        onChanged();
      },
      onLog: (level, text) => onLog(level, `volume ${name}: ${text}`),
    });
  }

  #processOptions(): HeadProcessOptions {
    const { data } = this.#options;
    return {
      ...this.order.options,
      directory: data.path,
      remote: { certificate: this.#certificate, desk: must(data.identity.joined).desk },
      // No node's record names it: also those of this machine are reached by TLS, which knows what this head may have.
      machine: this.#id,
      byDesk: true,
    };
  }

  get #id(): string {
    return placedHeadId({ volume: this.order.name, machine: must(this.#options.data.identity.joined).id });
  }

  get #certificate(): string {
    return dataPaths.certificate(this.#options.data.path, `volume-${this.order.name}`);
  }

  /** One that is young enough is kept: the process renews it. @throws what `certificateAt` throws, TRUST_* */
  async #certify(): Promise<void> {
    const { data, network, host } = this.#options;
    const { desk } = must(data.identity.joined);
    if (isYoung(this.#certificate)) return;
    const member = { cluster: data.cluster, role: 'head', id: this.#id } as const;
    const key = makeKey();
    const issued = await certificateAt(
      desk,
      network,
      await makeRequest({ key, identity: member, hosts: [host] }),
    );
    checkIssued(issued, { key, member, nowMs: systemClock.wallMs(), from: desk });
    writeIdentityFile(this.#certificate, { ...issued, key });
  }

  #tell({ why }: { why: CodedError }): void {
    const isNew = this.#why?.code !== why.code;
    this.#why = why;
    if (!isNew) return;
    this.#options.onLog('warn', `volume ${this.order.name} has no certificate yet: ${describeError(why)}`);
    this.#options.onChanged();
  }
}

function isYoung(file: string): boolean {
  if (!fs.existsSync(file)) return false;
  const member = identityOfCertificate(new X509Certificate(readIdentityFile(file).certificate), file);
  const nowMs = systemClock.wallMs();
  return nowMs >= member.validFromMs && nowMs < renewalDueMs(member);
}

const saidOf = ({ code, message }: CodedError): Said => ({ code, message });
