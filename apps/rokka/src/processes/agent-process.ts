/**
 * The agent of this machine: the process that carries out what Run Command sends here. It has no key of its own; for what a document
 * does with AWS it has those of the instance's role, as the gateway's clients have theirs. It may end at any moment, and begins
 * again where the registry says. Its only argument is AgentProcessOptions as JSON.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { type Clock, describeError, must, systemClock, systemRandom } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import {
  BootMirror,
  CommandDesk,
  ensureAdministrator,
  IdentityStore,
  instanceCredentials,
  PolicyCache,
  imageNamed,
  setOfSnapshot,
} from '@rokka/services';
import {
  applicationKinds,
  type LocalFileSystems,
  localFileSystems,
  mariadbKind,
  mariadbVerifier,
  postgresql,
  postgresqlVerifier,
  readable,
  redisKind,
  redisVerifier,
  sqliteVerifier,
  Standstill,
  StoppedFile,
  straysOn,
} from '@rokka/snapshots';
import { configurePackage } from '../agent/actions/configure-package.ts';
import { createVssSnapshot, type VssOptions } from '../agent/actions/create-vss-snapshot.ts';
import { manageVssIo } from '../agent/actions/manage-vss-io.ts';
import { type RestoreAction, restoreVssSnapshot } from '../agent/actions/restore-vss-snapshot.ts';
import { runShellScript } from '../agent/actions/run-shell-script.ts';
import type { Actions } from '../agent/action.ts';
import { Agent } from '../agent/agent.ts';
import { BootWriter } from '../agent/boot-writer.ts';
import { InstanceKeys } from '../agent/instance-keys.ts';
import { mountPointOf } from '../agent/own-instance.ts';
import { LeftStopped } from '../agent/restore/left-stopped.ts';
import { Packages } from '../agent/packages.ts';
import { type MachineWriters, machineWriters } from '../agent/machine-writers.ts';
import { openClusterRegistry } from '../cluster-registry.ts';
import { listNodes } from '../cluster.ts';
import { dataPaths } from '../data-directory.ts';
import { openDatabases, openSnapshots } from '../databases/cluster-databases.ts';
import { machinesOf, machinesWithVolumes, type OwnMachine, ownMachine } from '../machines/machine-list.ts';
import { runChild, type ParentChannel, type RunningChild } from './channel.ts';

export interface AgentProcessOptions {
  directory: string;
  /** Where the gateway answers, on this machine. */
  gatewayPort: number;
  /** Whether documents may run scripts. */
  allowShell: boolean;
}

const VERSION = '1.0.0';
/** What may still be frozen is thawed in so long, or when the next snapshot begins. */
const THAW_MS_MAX = 60_000;
/** Starting again would change nothing. */
const FINAL = /^(REGISTRY_VERSION|REGISTRY_CORRUPT)$/;

await runChild({
  finality: (code) => (FINAL.test(code) ? 'always' : 'never'),
  work: (channel) => runAgent(JSON.parse(must(process.argv[2])) as AgentProcessOptions, channel),
});

async function runAgent(options: AgentProcessOptions, channel: ParentChannel): Promise<RunningChild> {
  const { directory } = options;
  const resources = new AsyncDisposableStack();
  try {
    const clock = systemClock;
    const registry = resources.use(await openClusterRegistry(directory));
    const own = ownMachine(directory, clock);
    const [machine] = machinesOf(await listNodes(registry), own);
    const packages = new Packages(dataPaths.agent(directory));
    const { name = 'Linux', version = os.release() } = release();
    const log = (text: string) => channel.send({ kind: 'log', level: 'warn', text });
    const writers = machineWriters({ scripts: packages.scripts, state: dataPaths.agent(directory), clock });
    const local = localFileSystems({
      listFile: packages.localFileSystems,
      stateDirectory: path.join(dataPaths.agent(directory), 'writers'),
      dataDirectory: directory,
      clock,
      random: systemRandom,
    });
    // What an agent that was killed has stopped goes on before anything else: first what nobody can write on.
    await local.recover(AbortSignal.timeout(THAW_MS_MAX)).then(
      (thawed) => thawed.forEach((mountPoint) => log(`${mountPoint} was still frozen, and is thawed`)),
      (error: unknown) => log(describeError(error)),
    );
    await writers.recover().catch((error: unknown) => log(describeError(error)));
    const desk = new CommandDesk({ registry, clock });
    const { actions, restore } = await actionsOf(options, { registry, own, packages, writers, local, clock });
    const isTaken = async (command: string) =>
      (await desk.deliveries(must(machine).key)).some((delivery) => delivery.command === command);
    const agent = resources.use(
      await Agent.start({
        desk,
        actions,
        clock,
        facts: () => ({
          machineKey: must(machine).key,
          version: VERSION,
          platformName: name,
          platformVersion: version,
          ipAddress: own.privateIp ?? '127.0.0.1',
          computerName: own.host,
          packages: packages.installed(),
        }),
        log,
      }),
    );
    const start = (signal: AbortSignal) => restore.startLeftOver(isTaken, signal);
    resources.use(LeftStopped.watch({ clock, start, log }));
    return {
      status: () => ({ running: agent.running, memoryBytes: process.memoryUsage().rss }),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function actionsOf(
  { directory, gatewayPort, allowShell }: AgentProcessOptions,
  of: {
    registry: Registry;
    own: OwnMachine;
    packages: Packages;
    writers: MachineWriters;
    local: LocalFileSystems;
    clock: Clock;
  },
): Promise<{ actions: Actions; restore: RestoreAction }> {
  const { registry, own, packages, writers, local, clock } = of;
  const random = systemRandom;
  const { account } = await ensureAdministrator({ registry, clock, random });
  const identity = {
    store: new IdentityStore({ registry, clock, account }),
    policies: new PolicyCache(),
    random,
    clock,
  };
  const snapshots = openSnapshots({ directory, registry });
  const databases = openDatabases({ directory, registry });
  const mirror = new BootMirror({
    registry,
    databases,
    machines: () => machinesWithVolumes({ registry, databases, own }),
    clock,
    random,
  });
  const keys = new InstanceKeys({
    clock,
    make: ({ account, region, instance: instanceId }) =>
      instanceCredentials({
        context: { registry, clock, identity },
        scope: { account, region },
        instanceId,
      }),
  });
  const options: VssOptions = {
    clock,
    packages,
    async ec2For(scope, instance) {
      const of = { ...scope, instance };
      // That there are none is told before anything is begun.
      await keys.get(of);
      const { EC2Client } = await import('@aws-sdk/client-ec2');
      const endpoint = `http://127.0.0.1:${gatewayPort}`;
      // A step may take longer than its first keys count.
      const credentials = () => keys.get(of);
      return new EC2Client({ endpoint, region: scope.region, credentials });
    },
    lookUp: (scope, snapshot) => setOfSnapshot({ registry, snapshots }, { scope, snapshot }),
    imageNamed: (scope, name) => imageNamed({ registry }, { scope, name }),
    writersFor: (volumes, of) => writers.find(volumes, of),
    leaseWriters: () => writers.lease(),
    bootWriter: () => new BootWriter({ mirror, clock }),
    localFileSystems: local,
    diagnostics: path.join(dataPaths.agent(directory), 'diagnostics'),
  };
  const stateDirectory = path.join(dataPaths.agent(directory), 'writers');
  const restore = restoreVssSnapshot({
    ...options,
    verifiers: [readable, postgresqlVerifier, mariadbVerifier(), redisVerifier(), sqliteVerifier],
    mountPointOf,
    writing: (volumes, signal) => straysOn({ volumes, components: [], signal }),
    standstill: new Standstill({
      kinds: applicationKinds({ scripts: packages.scripts, stateDirectory, clock }),
      writers: [postgresql(), mariadbKind({ clock }), redisKind({ clock })],
      notes: new StoppedFile(stateDirectory),
      mountPointOf,
      clock,
    }),
  });
  const actions: Actions = new Map([
    ['aws:createVssSnapshot', createVssSnapshot(options)],
    ['aws:manageVssIO', manageVssIo(options)],
    ['aws:restoreVssSnapshot', restore],
    ['aws:configurePackage', configurePackage(packages)],
    ['aws:runShellScript', runShellScript({ isAllowed: allowShell })],
  ]);
  return { actions, restore };
}

/** As the distribution says it, where it does. */
function release(): { name?: string; version?: string } {
  const file = ['/etc/os-release', '/usr/lib/os-release'].find((each) => fs.existsSync(path.resolve(each)));
  if (file === undefined) return {};
  const text = fs.readFileSync(file, 'utf8');
  const valueOf = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1];
  const [name, version] = [valueOf('NAME'), valueOf('VERSION_ID')];
  return { ...(name !== undefined && { name }), ...(version !== undefined && { version }) };
}
