/** A service over a registry and a fake controller, with its operations called as the gateway calls them. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Databases, DatabaseSecrets, Snapshots } from '@rokka/databases';
import type { CallContext } from '@rokka/gateway';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { FakeController } from './fake-controller.ts';

export const ACCOUNT = '123456789012';
export const REGION = 'eu-north-1';
const TURN_MS = 1000;

export interface Where {
  readonly region?: string;
  readonly account?: string;
}

export abstract class ServiceBench implements Disposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-service-'));
  readonly secrets = new DatabaseSecrets(this.directory);
  readonly clock = new VirtualClock();
  readonly registry: Registry;
  readonly controller: FakeController;
  abstract readonly process: { readonly keeper: { step(): Promise<void> } };

  constructor(registry: Registry = new MemoryRegistry()) {
    this.registry = registry;
    const { secrets, clock } = this;
    this.controller = new FakeController({ ...this.recordsOver(registry, 2), secrets, clock });
  }

  /** As a process has them. */
  recordsOver(registry: Registry, seed: number) {
    const { secrets, clock } = this;
    const random = new SeededRandom(seed);
    return {
      registry,
      databases: new Databases({ registry, secrets, clock, random }),
      snapshots: new Snapshots({ registry, secrets, clock, random }),
      clock,
      random,
    };
  }

  /** Controller and keeper, in turns. */
  async turns(count = 6): Promise<void> {
    for (let turn = 0; turn < count; turn++) {
      this.clock.advanceTo(this.clock.nowMs() + TURN_MS);
      await this.controller.step();
      await this.process.keeper.step();
    }
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

/** Calls whatever entry of a table of operations, an object or a function, as somebody in this account and region. */
export async function callEntry(entry: unknown, input: unknown, where: Where = {}): Promise<never> {
  const call = callIn({ account: ACCOUNT, region: REGION, ...where });
  const handle = (typeof entry === 'function' ? entry : (entry as { handle: unknown }).handle) as (
    input: unknown,
    call: CallContext,
  ) => Promise<never>;
  return handle(input, call);
}

export function callIn(where: { account: string; region: string }): CallContext {
  const { account } = where;
  const principal = {
    account,
    arn: `arn:aws:iam::${account}:user/ann`,
    userId: 'AIDAANN',
    kind: 'user',
  } as const;
  const accessKeyId = 'AKIAANN';
  return {
    ...where,
    requestId: 'r-1',
    principal,
    accessKeyId,
    credential: { principal, accessKeyId, secretAccessKey: 'secret' },
    sourceAddress: '127.0.0.1',
    userAgent: 'test',
    atMs: 0,
    signal: new AbortController().signal,
  };
}
