/** SSM over a registry, on a cluster of machines whose agents are as the test has them. */
import type * as ssm from '@aws-sdk/client-ssm';
import type { InputOf, OutputOf } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { StandingRights } from '../iam/standing-rights.ts';
import type { AgentFacts } from '../ssm/agents.ts';
import { CommandDesk, type Delivery, type Ending } from '../ssm/command-desk.ts';
import type { SsmContext, SsmInstance } from '../ssm/ssm-context.ts';
import { ssmOperations } from '../ssm/ssm-handlers.ts';
import { SsmKeeper } from '../ssm/ssm-keeper.ts';
import type { StepResult } from '../ssm/step-results.ts';
import { callEntry, ServiceBench, type Where } from './service-bench.ts';

type Table = ReturnType<typeof ssmOperations>;
type CommandOf<N extends keyof Table> = (typeof ssm)[`${N}Command`];
type SendInput = InputOf<typeof ssm.SendCommandCommand>;

export interface SsmProcess {
  readonly keeper: SsmKeeper;
  readonly desk: CommandDesk;
  call<N extends keyof Table>(
    name: N,
    input: InputOf<CommandOf<N>>,
    where?: Where,
  ): Promise<OutputOf<CommandOf<N>>>;
}

export class SsmBench extends ServiceBench {
  readonly context: SsmContext;
  readonly process: SsmProcess;
  /** What the composition root says that there is. */
  readonly instances: SsmInstance[];

  constructor(registry?: Registry, machines = 3) {
    super(registry);
    this.instances = Array.from({ length: machines }, (_, index) => instanceOf(index));
    this.context = this.contextOver(this.registry, 1);
    this.process = processOver(this.context);
  }

  /** ARNs that nobody may do anything on any more, whoever has associations. */
  readonly denied = new Set<string>();

  /** As another process has it. */
  contextOver(registry: Registry, seed: number): SsmContext {
    const { clock, random } = this.recordsOver(registry, seed);
    const rights: StandingRights = {
      standInOf: async ({ principal }) => ({ principal }),
      firstDenied: async (_standIn, { asks }) => asks.find(({ arn }) => this.denied.has(arn)),
    };
    return { registry, clock, random, rights, instances: async () => this.instances };
  }

  get call(): SsmProcess['call'] {
    return this.process.call;
  }

  get desk(): CommandDesk {
    return this.process.desk;
  }

  get ids(): string[] {
    return this.instances.map(({ id }) => id);
  }

  /** Agents of these machines, all unless given, tell of themselves. */
  async hello(machines: readonly SsmInstance[] = this.instances): Promise<void> {
    for (const { machineKey } of machines) await this.desk.hello(agentOf(machineKey));
  }

  /** A shell script on all machines unless the input says otherwise. @returns the command's id */
  async send(input: Partial<SendInput> = {}): Promise<string> {
    const { Command } = await this.call('SendCommand', {
      DocumentName: 'AWS-RunShellScript',
      Parameters: { commands: ['true'] },
      ...(!input.Targets && { InstanceIds: this.ids }),
      ...input,
    });
    return must(Command?.CommandId);
  }

  /** What a machine's agent is given, begun. */
  async begin({ machineKey }: SsmInstance): Promise<Delivery[]> {
    const begun: Delivery[] = [];
    for (const delivery of await this.desk.deliveries(machineKey))
      if (delivery.begunAtMs === undefined && (await this.desk.begin(delivery))) begun.push(delivery);
    return begun;
  }

  /** A machine's agent carries out what it can, and all of it ends like this. */
  async carryOut(instance: SsmInstance, ending: Ending = success): Promise<number> {
    const begun = await this.begin(instance);
    for (const delivery of begun) await this.desk.end(delivery, ending);
    return begun.length;
  }

  advance(ms: number): void {
    this.clock.advanceTo(this.clock.nowMs() + ms);
  }

  /** `Failed Incomplete`. */
  async state(CommandId: string): Promise<string> {
    const { Commands } = await this.call('ListCommands', { CommandId });
    const { Status, StatusDetails } = must(Commands?.[0]);
    return `${Status} ${StatusDetails}`;
  }

  /** How many invocations there are of each StatusDetails. */
  async counts(CommandId: string): Promise<Record<string, number>> {
    const { CommandInvocations = [] } = await this.call('ListCommandInvocations', { CommandId });
    const counts: Record<string, number> = {};
    for (const { StatusDetails = '' } of CommandInvocations)
      counts[StatusDetails] = (counts[StatusDetails] ?? 0) + 1;
    return counts;
  }
}

export function processOver(context: SsmContext): SsmProcess {
  const table = ssmOperations(context);
  return {
    keeper: new SsmKeeper(context),
    desk: new CommandDesk(context),
    call: (name, input, where) => callEntry(table[name], input, where),
  };
}

export const success: Ending = { status: 'Success', steps: [] };
export const failure: Ending = { status: 'Failed', steps: [] };

export const agentOf = (machineKey: string): AgentFacts => ({
  machineKey,
  version: '1.0.0',
  platformName: 'Debian GNU/Linux',
  platformVersion: '13',
  ipAddress: '10.0.0.1',
  computerName: `${machineKey}.example`,
  packages: {},
});

export const stepOf = (name: string, more: Partial<StepResult> = {}): StepResult => ({
  name,
  action: 'aws:runShellScript',
  status: 'Success',
  statusDetails: 'Success',
  responseCode: 0,
  stdout: '',
  stderr: '',
  ...more,
});

function instanceOf(index: number): SsmInstance {
  const id = `i-${index.toString(16).padStart(17, '0')}`;
  return { id, machineKey: `machine-${index}`, tags: { team: index % 2 === 0 ? 'red' : 'green' } };
}
