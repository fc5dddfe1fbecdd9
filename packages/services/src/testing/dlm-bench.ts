/** Data Lifecycle Manager with EC2 and SSM over a registry, on a virtual clock; the agent of the first machine does as the test says. */
import type * as dlm from '@aws-sdk/client-dlm';
import type { InputOf, OutputOf } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { DlmContext } from '../dlm/dlm-context.ts';
import { dlmOperations } from '../dlm/dlm-handlers.ts';
import { DlmKeeper } from '../dlm/dlm-keeper.ts';
import { createRole } from '../iam/operations/create-role.ts';
import { putRolePolicy } from '../iam/operations/put-role-policy.ts';
import { standingRights } from '../iam/standing-rights.ts';
import { CommandDesk, type Delivery } from '../ssm/command-desk.ts';
import { ec2Instances } from '../ssm/ec2-instances.ts';
import { SsmKeeper } from '../ssm/ssm-keeper.ts';
import { Ec2Bench } from './ec2-bench.ts';
import { agentOf, stepOf } from './ssm-bench.ts';
import { ACCOUNT, callEntry, REGION, type Where } from './service-bench.ts';

type Table = ReturnType<typeof dlmOperations>;
type CommandOf<N extends keyof Table> = (typeof dlm)[`${N}Command`];

export interface DlmProcess {
  readonly keeper: DlmKeeper;
  call<N extends keyof Table>(
    name: N,
    input: InputOf<CommandOf<N>>,
    where?: Where,
  ): Promise<OutputOf<CommandOf<N>>>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The agent's machine. */
const MACHINE = 'first';
/** All that the service does as the role. */
const ACTIONS = [
  'ec2:CreateSnapshot',
  'ec2:CreateSnapshots',
  'ec2:CreateTags',
  'ec2:DeleteSnapshot',
  'ec2:Describe*',
  'ssm:SendCommand',
];

export class DlmBench extends Ec2Bench {
  readonly dlm: DlmProcess;
  readonly desk: CommandDesk;
  readonly ssmKeeper: SsmKeeper;
  /** Good: snapshots and success. Late: snapshots, and then failure. Bad: failure alone. Away: there is none. */
  agent: 'good' | 'late' | 'bad' | 'away' = 'good';
  /** What it was asked for. */
  readonly deliveries: Delivery[] = [];
  readonly #firstNightMs: number;

  constructor(registry?: Registry) {
    super(registry);
    this.#firstNightMs = Math.ceil(this.clock.wallMs() / DAY_MS) * DAY_MS + 3 * HOUR_MS;
    this.dlm = dlmProcessOver(this.dlmContext());
    this.desk = new CommandDesk(this.context);
    this.ssmKeeper = new SsmKeeper(this.dlmContext().ssm);
  }

  /** As another process has it, over another registry. */
  dlmContext(registry = this.registry, seed = 7): DlmContext {
    const ec2 = this.contextOver(registry, seed);
    const { clock, random } = ec2;
    const ssm = { registry, clock, random, instances: ec2Instances(ec2), rights: standingRights(ec2) };
    return { ec2, ssm };
  }

  /** A role that the service may assume, and that may all that it needs, or these alone. @returns its ARN */
  async role(RoleName = 'lifecycle', Action = ACTIONS, Service = 'dlm.amazonaws.com'): Promise<string> {
    const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service } };
    const { Role } = await createRole(
      { RoleName, AssumeRolePolicyDocument: JSON.stringify({ Statement: trust }) },
      this.iam,
    );
    await this.allow(RoleName, Action);
    return must(Role?.Arn);
  }

  async allow(RoleName: string, Action: readonly string[]): Promise<void> {
    const PolicyDocument = JSON.stringify({ Statement: { Effect: 'Allow', Action, Resource: '*' } });
    await putRolePolicy({ RoleName, PolicyName: 'own', PolicyDocument }, this.iam);
  }

  /** An enabled policy for instances with the tag `backup=yes`, once a day at 03:00, of which two are kept. @returns its id */
  async policy(schedule: dlm.Schedule = {}, details: dlm.PolicyDetails = {}): Promise<string> {
    const { PolicyId } = await this.dlm.call('CreateLifecyclePolicy', {
      ExecutionRoleArn: await this.role(),
      Description: 'nightly',
      State: 'ENABLED',
      PolicyDetails: detailsOf(schedule, details),
    });
    return must(PolicyId);
  }

  async tag(id: string): Promise<void> {
    await this.call('CreateTags', { Resources: [id], Tags: [{ Key: 'backup', Value: 'yes' }] });
  }

  /** One machine with two volumes, which has the tag. @returns its id */
  async machine(): Promise<string> {
    for (const device of ['/dev/sdf', '/dev/sdg']) await this.attached(device);
    const id = await this.instance();
    await this.tag(id);
    return id;
  }

  /** Everybody does what there is to do, for so many minutes. */
  async minutes(count: number): Promise<void> {
    for (let minute = 0; minute < count; minute++) {
      this.clock.advanceTo(this.clock.nowMs() + MINUTE_MS);
      await this.round();
    }
  }

  /** Each looks a few times, and no time passes. */
  async round(keeper: { step(): Promise<void> } = this.dlm.keeper): Promise<void> {
    for (let look = 0; look < 4; look++) {
      await keeper.step();
      await this.actAsAgent();
      await this.controller.step();
      await this.process.keeper.step();
      await this.ssmKeeper.step();
    }
    await keeper.step();
  }

  /** Nobody is there until then, and then everybody: `2026-03-01T03:00`. */
  async sleepUntil(time: string): Promise<void> {
    const ms = Date.parse(`${time}Z`) - this.clock.wallMs();
    this.clock.advanceTo(this.clock.nowMs() + ms);
    await this.round();
  }

  /** To a night, at which nobody has looked yet. */
  advanceTo(night: number): void {
    this.clock.advanceTo(this.clock.nowMs() + Date.parse(`${this.nightOf(night)}Z`) - this.clock.wallMs());
  }

  /** Nights by number, from the first one on. */
  async nights(from: number, to = from): Promise<void> {
    for (let night = from; night <= to; night++) await this.sleepUntil(this.nightOf(night));
  }

  /** When it is due. */
  nightOf(night: number): string {
    return new Date(this.#firstNightMs + night * DAY_MS).toISOString().slice(0, 16);
  }

  /** As `sets` shows it. */
  setOf(night: number, ...tags: string[]): string {
    return [this.nightOf(night), ...['aws:dlm:lifecycle-schedule-name=night', ...tags].sort()].join(' ');
  }

  async actAsAgent(): Promise<void> {
    if (this.agent === 'away') return;
    await this.desk.hello(agentOf(MACHINE));
    for (const delivery of await this.desk.deliveries(MACHINE)) await this.#carryOut(delivery);
  }

  /** Of each set, by age: its time, and its tags without those that only say which run it was. */
  async sets(): Promise<string[]> {
    const { Snapshots = [] } = await this.call('DescribeSnapshots', {});
    const shown = Snapshots.map(({ StartTime, State, Tags = [] }) => {
      const tags = Tags.filter(
        ({ Key }) => !/^aws:dlm:(run|instance-id|lifecycle-policy-id)$/.test(Key ?? ''),
      );
      const text = tags.map(({ Key, Value }) => `${Key}=${Value}`).sort();
      return [must(StartTime).toISOString().slice(0, 16), State === 'completed' ? '' : State, ...text];
    });
    return [...new Set(shown.map((words) => words.filter((word) => word !== '').join(' ')))].sort();
  }

  async shown(PolicyId: string): Promise<dlm.LifecyclePolicy> {
    return must((await this.dlm.call('GetLifecyclePolicy', { PolicyId })).Policy);
  }

  async #carryOut(delivery: Delivery): Promise<void> {
    if (!(await this.desk.begin(delivery))) return;
    this.deliveries.push(delivery);
    const inputs = delivery.document.steps[0].inputs as Record<string, string>;
    const [, Key, Value] = must(/^Key=(.*),Value=(.*)$/.exec(inputs['tags'])).map(String);
    if (this.agent !== 'bad')
      await this.call('CreateSnapshots', {
        InstanceSpecification: {
          InstanceId: delivery.instance,
          ExcludeBootVolume: inputs['ExcludeBootVolume'] === 'True',
        },
        Description: inputs['description'],
        TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key, Value }] }],
      });
    const status = this.agent === 'good' ? 'Success' : 'Failed';
    const stderr = this.agent === 'good' ? '' : 'nobody would freeze';
    const steps = [stepOf('createVssSnapshot', { status, statusDetails: status, stderr })];
    await this.desk.end(delivery, { status, steps });
  }
}

export function detailsOf(schedule: dlm.Schedule = {}, details: dlm.PolicyDetails = {}): dlm.PolicyDetails {
  const ResourceTypes = details.ResourceTypes ?? ['INSTANCE'];
  return {
    ResourceTypes,
    TargetTags: [{ Key: 'backup', Value: 'yes' }],
    ...(ResourceTypes[0] === 'INSTANCE' && { Parameters: { ExcludeBootVolume: true } }),
    Schedules: [
      {
        Name: 'night',
        CreateRule: { Interval: 24, IntervalUnit: 'HOURS', Times: ['03:00'] },
        RetainRule: { Count: 2 },
        ...schedule,
      },
    ],
    ...details,
  };
}

/** Snapshots by a script that makes applications hold. */
export const scripted = (more: Partial<dlm.Script> = {}): dlm.CreateRule => ({
  Interval: 24,
  IntervalUnit: 'HOURS',
  Times: ['03:00'],
  Scripts: [{ ExecutionHandler: 'AWS_VSS_BACKUP', ...more }],
});

export const roleArn = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
export const policyArn = (id: string) => `arn:aws:dlm:${REGION}:${ACCOUNT}:policy/${id}`;

export function dlmProcessOver(context: DlmContext): DlmProcess {
  const table = dlmOperations(context);
  return {
    keeper: new DlmKeeper(context),
    call: (name, input, where) => callEntry(table[name], input, where),
  };
}
