/** What the agents of machines say of themselves. One that has not done so for a while is not there. */
import type { Clock } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import { recordKeys, recordPrefixes } from './ssm-records.ts';

const ONLINE_MS = 60_000;

export interface AgentFacts {
  /** Of its machine, as EC2 has it. */
  readonly machineKey: string;
  /** Its own: `1.0.0`. */
  readonly version: string;
  /** `Debian GNU/Linux`. */
  readonly platformName: string;
  readonly platformVersion: string;
  readonly ipAddress: string;
  readonly computerName: string;
  /** Versions of what is installed, by name. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface AgentRecord extends AgentFacts {
  readonly registeredAtMs: number;
  readonly pingedAtMs: number;
}

/** @throws SERVICE_RECORD_BUSY, errors of the registry */
export async function tellOfAgent(
  { store, clock }: { store: RecordStore; clock: Clock },
  facts: AgentFacts,
): Promise<void> {
  const pingedAtMs = clock.wallMs();
  await store.change<AgentRecord>(recordKeys.agent(facts.machineKey), (found) => ({
    ...facts,
    registeredAtMs: found?.registeredAtMs ?? pingedAtMs,
    pingedAtMs,
  }));
}

/** By machine. */
export async function readAgents(store: RecordStore): Promise<Map<string, AgentRecord>> {
  const agents = await store.list<AgentRecord>(recordPrefixes.agents);
  return new Map(agents.map((agent) => [agent.machineKey, agent]));
}

export const isOnline = ({ pingedAtMs }: AgentRecord, nowMs: number) => nowMs - pingedAtMs <= ONLINE_MS;

/** Machines whose agents are there. */
export async function readOnline(of: { store: RecordStore; clock: Clock }): Promise<ReadonlySet<string>> {
  const agents = [...(await readAgents(of.store)).values()];
  const nowMs = of.clock.wallMs();
  return new Set(agents.filter((agent) => isOnline(agent, nowMs)).map(({ machineKey }) => machineKey));
}
