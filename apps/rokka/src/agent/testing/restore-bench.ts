/** What tests of a restore stand on: EC2, a verifier and programs that do what a test says, and agents that come one after the other. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import '@aws-sdk/client-ec2';
import { VirtualClock } from '@rokka/kernel';
import type { Delivery } from '@rokka/services';
import { type MountedVolume, Standstill, type Verdict, type VerifyOptions } from '@rokka/snapshots';
import type { ActionInput, ActionResult } from '../action.ts';
import { type RestoreAction, restoreVssSnapshot } from '../actions/restore-vss-snapshot.ts';
import { type Behaviours, FakeApplication, FakeNotes } from './fake-application.ts';
import { FakeEc2, INSTANCE } from './fake-ec2.ts';

export const BEFORE = { '/dev/sdf': 'vol-f attached', '/dev/sdg': 'vol-g attached' };
export const REPLACED = {
  '/dev/sdf': 'snap-f attached',
  '/dev/sdg': 'snap-g attached',
  'vol-f': 'available',
  'vol-g': 'available',
};
const TURNS_MAX = 100_000;

export const clean = async ({ mountPoints }: VerifyOptions): Promise<Verdict[]> =>
  mountPoints.map((what) => ({ what, isClean: true, words: 'well' }));

/** A restore on a virtual clock: an instance with two volumes, a set of snapshots of them, and programs on them where a test wants some. */
export class RestoreBench {
  readonly ec2 = new FakeEc2();
  readonly clock = new VirtualClock();
  readonly cancel = new AbortController();
  readonly said: string[] = [];
  /** Of what verifiers were shown. */
  shown: Record<string, string> = {};
  verify: (options: VerifyOptions) => Promise<readonly Verdict[]> = clean;
  /** How often somebody is asked before programs write on volumes. */
  writesFrom = Infinity;
  readonly #mode: string;
  /** Beside Mode. */
  asked: Readonly<Record<string, string>> = { SnapshotSetId: 'set-1' };
  readonly notes = new FakeNotes();
  /** One on each volume. */
  applications: readonly FakeApplication[] = [];
  #action!: RestoreAction;

  constructor(mode: 'Test' | 'Replace') {
    this.#mode = mode;
    for (const letter of ['f', 'g']) {
      const device = `/dev/sd${letter}`;
      this.ec2.put(`vol-${letter}`, device);
      const Tags = [
        { Key: 'Device', Value: device },
        { Key: 'AwsVssConfig', Value: '{"set":"set-1","size":2,"level":"filesystem"}' },
      ];
      this.ec2.snapshots.push({
        SnapshotId: `snap-${letter}`,
        VolumeId: `vol-${letter}`,
        State: 'completed',
        Tags,
      });
    }
    this.beginAnew();
  }

  /** An agent begins, with nothing but what is on the disk. */
  beginAnew(): void {
    const { clock, ec2 } = this;
    const { ending } = ec2;
    const kill = () => ec2.killAgent();
    const writing = (volumes: readonly MountedVolume[]) =>
      this.writesFrom-- <= 0 ? volumes.map(({ mountPoint }) => `cat, which writes ${mountPoint}/a`) : [];
    this.#action = restoreVssSnapshot({
      clock,
      verifiers: [
        {
          name: 'own',
          verify: (options) => {
            this.shown = this.ec2.stand;
            return this.verify(options);
          },
        },
      ],
      ec2For: async () => ec2.client(),
      mountPointOf: (volume) => ec2.mountPointOf(volume),
      writing: async (volumes) => writing(volumes),
      standstill: new Standstill({
        kinds: this.applications.map((each) => each.kind(ending)),
        writers: this.applications.map((each) => each.writerKind()),
        notes: this.notes.of(ending, kill),
        mountPointOf: (volume) => ec2.mountPointOf(volume),
        strays: async ({ volumes }) => writing(volumes).map((words, pid) => ({ pid, words })),
        clock,
      }),
    });
  }

  /** That use the volumes at /dev/sdf and /dev/sdg. */
  addApplications(...behaviours: Behaviours[]): void {
    this.applications = ['sdf', 'sdg'].map((name, at) => {
      const look = () => {
        const [, id] = [...this.ec2.volumes].flatMap(([volume, { snapshot, attachment }]) =>
          attachment?.device === `/dev/${name}` && attachment.state === 'attached'
            ? ['', snapshot ?? volume]
            : [],
        );
        return id;
      };
      const kill = () => this.ec2.killAgent();
      return new FakeApplication(name, { look, kill, behaviours: behaviours[at] ?? {} });
    });
    this.beginAnew();
  }

  /** Each runs, on what is in place, and nobody has anything left to start. */
  demandAllRun(where: string): void {
    for (const { name, runsOn } of this.applications)
      assert.equal(`${runsOn} attached`, this.stand[`/dev/${name}`], `${name}, ${where}`);
    assert.equal(this.notes.stopped, undefined, where);
  }

  /** As the agent does it every minute. */
  startLeftOver(): Promise<readonly string[]> {
    const { signal } = new AbortController();
    return this.#driven(this.#action.startLeftOver(async () => false, signal));
  }

  /** The boot volume is in the set as well; or it alone. */
  addBoot(of: { alone?: boolean } = {}): void {
    const { snapshots } = this.ec2;
    if (of.alone) snapshots.length = 0;
    snapshots.push({ SnapshotId: 'snap-boot', VolumeId: 'vol-boot', State: 'completed', Tags: [] });
    const config = JSON.stringify({ set: 'set-1', size: snapshots.length, level: 'application' });
    for (const snapshot of snapshots) {
      const device = snapshot.Tags?.find(({ Key }) => Key === 'Device')?.Value ?? '/dev/xvda';
      snapshot.Tags = [
        { Key: 'Device', Value: device },
        { Key: 'AwsVssConfig', Value: config },
      ];
    }
  }

  get input(): ActionInput {
    const { ending } = this.ec2;
    const delivery = { command: 'c-1', instance: INSTANCE, scope: { account: '1', region: 'us-east-1' } };
    return {
      delivery: delivery as Delivery,
      inputs: { ...this.asked, Mode: this.#mode, timeoutSeconds: '3600' },
      signal: AbortSignal.any([ending, this.cancel.signal]),
      ending,
      say: (line) => this.said.push(line),
    };
  }

  run(): Promise<ActionResult> {
    return this.#driven(this.#action.run(this.input));
  }

  recover(): Promise<string> {
    return this.#driven(this.#action.recover(this.input));
  }

  /** As the agent does it: once more where it is cut short, as long as somebody is there. */
  async runAndRecover(): Promise<ActionResult | string> {
    const result = await this.run();
    if (!this.ec2.ending.aborted) return result;
    this.ec2.newAgent();
    this.beginAnew();
    return this.recover();
  }

  /** Looked at by nobody for a while. */
  get stand(): Record<string, string> {
    return this.ec2.stand;
  }

  async #driven<T>(work: Promise<T>): Promise<T> {
    const over = work.then(
      () => true,
      () => true,
    );
    for (let turns = 0; !(await Promise.race([over, turn(false)])); turns++) {
      assert.ok(turns < TURNS_MAX, 'it ends');
      if (this.clock.pending > 0) this.clock.runNext(Number.MAX_SAFE_INTEGER);
    }
    return work;
  }
}
