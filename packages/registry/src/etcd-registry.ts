/**
 * The registry of many machines: keys under one prefix of an etcd, through its HTTP/JSON gateway.
 *
 * Every read is linearizable: it sees all that was acknowledged before it began, whichever member answers. A change is
 * one transaction that compares the key's mod_revision and sets (etcd-write.ts says why a lost answer neither hides nor
 * doubles it). The revision of an entry is its mod_revision. A list of any length is of one revision.
 *
 * Fault model: members crash, stand still, are cut off, change their leader; answers are lost, late or nonsense. Outside
 * of it: an etcd put back from an old copy, which repeats revisions (noticed by a process that saw the newer ones,
 * REGISTRY_REWOUND), and keys below the prefix deleted by hand while processes run. Unlike SQLite's, a write over a
 * damaged entry is not refused, because it does not read it.
 */
import { assert, type Clock, type Random, systemRandom } from '@rokka/kernel';
import { checkKey, checkPrefix, encodeValue, PREFIX_END } from './entry-codec.ts';
import { decodeVersion, encodeVersion, LIVE_FLOOR, type Version } from './etcd-entry.ts';
import { EtcdGateway, type Patience, type Reply, type Said } from './etcd-gateway.ts';
import {
  compareAndSetRequest,
  type CompareAndSetAnswer,
  type KeyValue,
  rangeRequest,
} from './etcd-messages.ts';
import { EtcdWrite, type WriteStep } from './etcd-write.ts';
import { registryErrors } from './errors.ts';
import { httpPost, type Post, type Tls } from './http-post.ts';
import type { Registry, RegistryEntry } from './registry.ts';

/** Entries asked for at once, so that one answer has a bound (ANSWER_BYTES_MAX in http-post.ts). */
const PAGE_ENTRIES = 16;

export interface EtcdRegistryOptions {
  /** Origins of the members of one etcd: http://host:port or https://host:port. */
  endpoints: readonly string[];
  /** What every key of this cluster begins with in etcd: rokka/NAME/. */
  prefix: string;
  clock: Clock;
  random?: Random;
  /** How long one member may be silent before the next one is asked; default 1 s, and more for long values. */
  requestTimeoutMs?: number;
  /** How long one operation may take with all its attempts; default 5 s, of which an election takes one or two. */
  patienceMs?: number;
  tls?: Tls;
  /** What carries the requests; HTTP where nothing is given. */
  post?: Post;
}

/** @throws REGISTRY_BAD_KEY, REGISTRY_UNAVAILABLE, REGISTRY_WRONG_CLUSTER, REGISTRY_REFUSED */
export async function openEtcdRegistry(options: EtcdRegistryOptions): Promise<Registry> {
  const { endpoints, prefix, clock, tls, random = systemRandom } = options;
  assert(endpoints.length > 0, 'an etcd has an endpoint');
  checkKey(prefix);
  const post = options.post ?? httpPost({ clock, ...(tls && { tls }) });
  const { requestTimeoutMs = 1_000, patienceMs = 5_000 } = options;
  const gateway = new EtcdGateway({ endpoints, post, clock, random, requestTimeoutMs, patienceMs });
  const registry = new EtcdRegistry(gateway, prefix, random);
  try {
    await gateway.identifyAll();
    await registry.get('open');
    return registry;
  } catch (error) {
    gateway.close();
    throw error;
  }
}

class EtcdRegistry implements Registry {
  readonly #gateway: EtcdGateway;
  readonly #prefix: string;
  readonly #random: Random;

  constructor(gateway: EtcdGateway, prefix: string, random: Random) {
    this.#gateway = gateway;
    this.#prefix = prefix;
    this.#random = random;
  }

  async get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    checkKey(key);
    const request = rangeRequest({ key: this.#prefix + key });
    const [kv] = this.#accepted(await this.#gateway.ask(request, this.#gateway.patience())).found;
    const found = this.#version(key, kv);
    return found && entryOf<T>(key, found);
  }

  async list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    checkPrefix(prefix);
    const patience = this.#gateway.patience();
    for (;;) {
      const found = await this.#listOnce(prefix, patience);
      if (found) return found.flatMap(({ key, version }) => entryOf<T>(key, version) ?? []);
    }
  }

  async put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    checkKey(key);
    return this.#write(key, encodeValue(key, value), expectedRevision);
  }

  async remove(key: string, expectedRevision: number): Promise<void> {
    checkKey(key);
    if (expectedRevision > 0) {
      await this.#write(key, undefined, expectedRevision);
      return;
    }
    // What is absent is removed already.
    const found = await this.get(key);
    if (found) throw registryErrors.REGISTRY_CONFLICT([key, expectedRevision, found.revision]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gateway.close();
  }

  /** Carries out what the machine of etcd-write.ts asks for. `text` is undefined where the key is removed. */
  async #write(key: string, text: string | undefined, expected: number): Promise<number> {
    const id = this.#random.hex(16);
    const write = new EtcdWrite({ id, expected });
    const value = encodeVersion(key, id, text);
    const patience = this.#gateway.patience();
    for (let step = write.first(); ;) {
      patience.inDoubt = write.inDoubt;
      switch (step.do) {
        case 'write': {
          const above = expected > 0 ? LIVE_FLOOR : undefined;
          const request = compareAndSetRequest({
            key: this.#prefix + key,
            revision: step.base,
            above,
            value,
          });
          step = this.#afterWrite(write, key, await this.#gateway.attempt(request, patience));
          break;
        }
        case 'look':
          step = await this.#look(write, key, step.at, patience);
          break;
        case 'succeed':
          return step.revision;
        case 'conflict':
          throw registryErrors.REGISTRY_CONFLICT([key, expected, step.found]);
        case 'refuse':
          if (isTooLong(step.refusal))
            throw this.#tooLong(step.refusal, { key, bytes: Buffer.byteLength(value) });
          throw this.#refusal(step.refusal, step);
        case 'give up':
          throw registryErrors.REGISTRY_FAILED([
            `etcd at ${this.#gateway.where}`,
            `no answer to the write of ${key}, and its history was compacted away`,
          ]);
      }
    }
  }

  #afterWrite(write: EtcdWrite, key: string, reply: Reply<CompareAndSetAnswer>): WriteStep {
    if (reply.kind === 'failed') return write.onLost(reply.sent);
    if (reply.kind === 'refused') return write.onRefused(reply.message);
    const { revision, succeeded, found } = reply.answer;
    return succeeded ? write.onWritten(revision) : write.onFound(this.#version(key, found));
  }

  async #look(write: EtcdWrite, key: string, at: number | undefined, patience: Patience): Promise<WriteStep> {
    const request = rangeRequest({ key: this.#prefix + key, ...(at !== undefined && { revision: at }) });
    const said = await this.#gateway.ask(request, patience);
    if (said.kind === 'refused') {
      if (isCompacted(said)) return write.onCompacted();
      throw this.#refusal(said.message, { inDoubt: write.inDoubt });
    }
    const found = this.#version(key, said.answer.found[0]);
    return at === undefined ? write.onFound(found) : write.onPast(found);
  }

  /** All entries at the revision of the first page; undefined where that was compacted away meanwhile. */
  async #listOnce(
    prefix: string,
    patience: Patience,
  ): Promise<{ key: string; version: Version }[] | undefined> {
    const listed: { key: string; version: Version }[] = [];
    const end = this.#prefix + prefix + PREFIX_END;
    let from = this.#prefix + prefix;
    for (let revision = 0; ;) {
      const request = rangeRequest({ key: from, end, limit: PAGE_ENTRIES, revision });
      const said = await this.#gateway.ask(request, patience);
      if (said.kind === 'refused' && isCompacted(said)) return undefined;
      const { found, more, revision: now } = this.#accepted(said);
      for (const kv of found) {
        const key = kv.key.slice(this.#prefix.length);
        listed.push({ key, version: decodeVersion(this.#gateway.where, key, kv) });
        from = `${kv.key}\u0000`;
      }
      if (!more) return listed;
      // The first page says where etcd stood then; later ones say where it stands by now.
      revision ||= now;
    }
  }

  /** @throws REGISTRY_REFUSED */
  #accepted<T>(said: Said<T>): T {
    if (said.kind === 'refused') throw this.#refusal(said.message);
    return said.answer;
  }

  #version(key: string, found: KeyValue | undefined): Version | undefined {
    return found && decodeVersion(this.#gateway.where, key, found);
  }

  #refusal(why: string, { inDoubt }: { inDoubt: boolean } = { inDoubt: false }): Error {
    const { where } = this.#gateway;
    return registryErrors.REGISTRY_REFUSED([where, why, wayOutOf(why), inDoubt], { detail: { inDoubt } });
  }

  #tooLong(why: string, { key, bytes }: { key: string; bytes: number }): Error {
    return registryErrors.REGISTRY_BAD_VALUE([
      key,
      `${bytes} bytes are too many for etcd at ${this.#gateway.where} (${why}): start each of its members with a ` +
        `greater --max-request-bytes, such as 16777216; without it they take 1.5 MiB`,
    ]);
  }
}

const isTooLong = (why: string) => /too large|larger than max/.test(why);
const isCompacted = ({ message }: { message: string }) => /has been compacted/.test(message);

function wayOutOf(why: string): string {
  if (/space exceeded/.test(why))
    return 'make room: etcdctl compact, defrag, then alarm disarm, or a greater --quota-backend-bytes';
  if (/permission|auth|user name|token/i.test(why))
    return 'Rokka does not sign in: let it in by TLS certificates (--client-cert-auth) with etcd’s own auth disabled';
  return 'see its log, and whether it is an etcd of version 3.4 or later';
}

function entryOf<T>(key: string, { text, revision }: Version): RegistryEntry<T> | undefined {
  return text === undefined ? undefined : { key, value: JSON.parse(text) as T, revision };
}
