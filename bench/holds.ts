/**
 * Application-consistent snapshots of two volumes under pgbench: for how long programs stand still, for how long writers are frozen, and that neither this
 * nor the time of a snapshot grows with what is on the volumes.
 */
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as ec2 from '@aws-sdk/client-ec2';
import { freePort } from '@rokka/kernel/testing';
import {
  installedPrograms,
  PostgresServer,
} from '../packages/snapshots/src/writers/testing/postgres-server.ts';
import { CloudUnderTest } from '../apps/rokka/src/testing/cloud-under-test.ts';
import { InstanceUnderTest } from '../apps/rokka/src/testing/instance-under-test.ts';
import { RokkaUnderTest } from '../apps/rokka/src/testing/rokka-under-test.ts';
import { TestPlace } from '../apps/rokka/src/testing/test-place.ts';
import { sleep } from './interruption.ts';
import { median, type Row } from './report.ts';
import type { Plan, Topic } from './topic.ts';

const CLIENTS = 8;
const SNAPSHOTS_A_ROUND = 4;
const BETWEEN_MS = 1_000;
const HELD_MS_GOAL = 50;
const MEGABYTES = 512;
const QUICK_MEGABYTES = 16;
const QUICK_SCALE = 1;

export const holds: Topic = { programs: ['pgbench'], native: true, rows: holdRows };

interface Taken {
  readonly heldMs: number;
  readonly frozenMs: number;
  /** From the command to its end. */
  readonly tookMs: number;
}

async function holdRows(plan: Plan): Promise<Row[]> {
  const programs = installedPrograms().find(({ skip }) => skip === false);
  if (!programs || process.getuid?.() !== 0)
    throw new Error('it needs a PostgreSQL of the machine, and root');
  await using place = await TestPlace.make();
  const port = await freePort();
  await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
  const instance = await InstanceUnderTest.of(await CloudUnderTest.start(rokka, port));
  await instance.mayMakeSnapshots();
  const { own } = instance;
  const data = await own.attach(await own.volume({ Size: 8 }), 'sdf');
  const log = await own.attach(await own.volume({ Size: 8 }), 'sdg');
  await using server = await PostgresServer.create({
    programs,
    dataDirectory: path.join(data, 'pgdata'),
    walDirectory: path.join(log, 'wal'),
    settings: { shared_buffers: '128MB' },
  });
  const target = ['-h', server.socketDirectory, '-U', 'tester', 'postgres'];
  execFileSync('pgbench', ['-i', '-q', '-s', String(plan.quick ? QUICK_SCALE : plan.scale), ...target], {
    stdio: 'ignore',
  });

  const under: Taken[] = [];
  const seconds = String(600);
  const load = spawn('pgbench', ['-n', '-c', String(CLIENTS), '-T', seconds, ...target], { stdio: 'ignore' });
  const ended = new Promise((resolve) => load.once('exit', resolve));
  try {
    const count = plan.quick ? 1 : plan.rounds * SNAPSHOTS_A_ROUND;
    for (let round = 0; round < count; round++) {
      await sleep(BETWEEN_MS);
      under.push(await take(instance, `under ${round}`));
    }
  } finally {
    load.kill();
    await ended;
  }
  const small = await several(instance, plan, 'small');
  const megabytes = plan.quick ? QUICK_MEGABYTES : MEGABYTES;
  fs.writeFileSync(path.join(log, 'filler'), Buffer.alloc(megabytes << 20, 1), { flush: true });
  // What is new is copied once.
  await take(instance, 'first large');
  const large = await several(instance, plan, 'large');
  await rokka.stop();
  const of = (taken: readonly Taken[], name: keyof Taken) => median(taken.map((each) => each[name]));
  const pgbench = `snapshot set under pgbench -c ${CLIENTS}`;
  return [
    {
      row: `${pgbench}: programs stand still`,
      value: of(under, 'heldMs'),
      unit: 'ms',
      goal: HELD_MS_GOAL,
      atLeast: false,
    },
    { row: `${pgbench}: writers are frozen`, value: of(under, 'frozenMs'), unit: 'ms' },
    { row: `${pgbench}: the command`, value: of(under, 'tookMs'), unit: 'ms' },
    { row: 'snapshot set, idle: the command', value: of(small, 'tookMs'), unit: 'ms' },
    { row: `the same with ${megabytes} MB more on it`, value: of(large, 'tookMs'), unit: 'ms' },
  ];
}

async function several(instance: InstanceUnderTest, plan: Plan, name: string): Promise<Taken[]> {
  const taken: Taken[] = [];
  for (let round = 0; round < plan.rounds; round++) taken.push(await take(instance, `${name} ${round}`));
  return taken;
}

/** @throws where it was not consistent for applications */
async function take(instance: InstanceUnderTest, description: string): Promise<Taken> {
  const startedMs = performance.now();
  const { Status, StandardErrorContent } = await instance.snapshot({ description });
  const tookMs = performance.now() - startedMs;
  if (Status !== 'Success') throw new Error(`snapshot "${description}": ${StandardErrorContent}`);
  const Filters = [{ Name: 'description', Values: [description] }];
  const { Snapshots = [] } = await instance.own.client.send(new ec2.DescribeSnapshotsCommand({ Filters }));
  const config = Snapshots[0]?.Tags?.find(({ Key }) => Key === 'AwsVssConfig')?.Value ?? '{}';
  return { ...(JSON.parse(config) as { heldMs: number; frozenMs: number }), tookMs };
}
