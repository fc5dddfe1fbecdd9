/**
 * Volumes on the machine that they are attached to: a cluster on two machines, made of network namespaces, by Debian's AWS CLI. What is
 * written on one is there on the other, whatever is killed meanwhile; and whoever was detached by force while it was cut off can write
 * nothing more, whatever it believes.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DescribeInstancesResult, DescribeVolumesResult, Snapshot, Volume } from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { readIdentity } from './data-directory.ts';
import { mountPointOf } from './databases/volume-mounts.ts';
import { AVAILABILITY_ZONE } from './testing/ec2-under-test.ts';
import { Machine } from './testing/machine.ts';
import { TestNet, until } from './testing/netns.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { kill, TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ cli: true, root: true }) || TestNet.missing;
const timeout = 900_000;
/** Inside of a machine every port is free. */
const AWS_PORT = 4566;
/** The one after that where machines join. */
const DESK_PORT = 7601;

describe('volumes on two machines', { skip: skip ?? false }, () => {
  const resources = new AsyncDisposableStack();
  let net: TestNet;
  let first: Machine;
  let second: Machine;
  let volume: string;

  before(
    async () => {
      const place = resources.use(await TestPlace.make());
      net = resources.use(TestNet.make(2));
      const of = { net, place, ownRun: true, env: { ROKKA_AWS_PORT: String(AWS_PORT) } };
      first = resources.use(new Machine({ ...of, machine: 1, name: 'first' }));
      await first.up('--listen', first.host);
      second = resources.use(new Machine({ ...of, machine: 2, name: 'second' }));
      await second.join(await first.token('b'), 7600);
      await until('the AWS API answers', async () => (await first.status()).gateway?.ready);
      const made = await ec2<Volume>(
        'create-volume',
        '--availability-zone',
        AVAILABILITY_ZONE,
        '--size',
        '1',
      );
      volume = must(made.VolumeId);
      await until('it is available', async () => (await described()).State === 'available');
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  async function ec2<T>(...words: string[]): Promise<T> {
    const end = await RokkaCommand.run(['--data', first.data, 'aws', 'ec2', ...words, '--output', 'json'], {
      prefix: net.prefix(first.number),
    });
    assert.equal(end.status, 0, `aws ec2 ${words.join(' ')}: ${end.err}`);
    return (end.out.trim() === '' ? {} : JSON.parse(end.out)) as T;
  }

  async function instanceOf({ host }: Machine): Promise<string> {
    const { Reservations } = await ec2<DescribeInstancesResult>('describe-instances');
    const all = (Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
    return must(all.find(({ PrivateIpAddress }) => PrivateIpAddress === host)?.InstanceId);
  }

  async function described(): Promise<Volume> {
    return must((await ec2<DescribeVolumesResult>('describe-volumes', '--volume-ids', volume)).Volumes?.[0]);
  }

  async function isAttachedTo(machine: Machine): Promise<boolean> {
    const [attachment] = (await described()).Attachments ?? [];
    return attachment?.State === 'attached' && attachment.InstanceId === (await instanceOf(machine));
  }

  async function attach(machine: Machine): Promise<void> {
    const instance = await instanceOf(machine);
    await ec2('attach-volume', '--volume-id', volume, '--instance-id', instance, '--device', '/dev/sdf');
    await until('it is attached', () => isAttachedTo(machine));
  }

  async function detach(...more: string[]): Promise<void> {
    await ec2('detach-volume', '--volume-id', volume, ...more);
    await until('it is available', async () => (await described()).State === 'available');
  }

  const directory = () => mountPointOf(must(readIdentity(first.data)).cluster, 'sdf');
  /** As programs of the machine see it. */
  const note = (machine: Machine) => path.join(`/proc/${machine.command.pid}/root`, directory(), 'note.txt');
  const read = (machine: Machine) => fs.readFileSync(note(machine), 'utf8');
  const write = (machine: Machine, text: string) => fs.writeFileSync(note(machine), text, { flush: true });

  /** A program of the machine that writes and waits until that is durable: it may wait long. */
  function writer(machine: Machine, text: string): ChildProcess {
    const words = [
      '-t',
      String(machine.command.pid),
      '-m',
      'dd',
      `of=${directory()}/note.txt`,
      'conv=notrunc,fsync',
    ];
    const child = spawn('nsenter', words, { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin?.end(text);
    return child;
  }

  test(
    'a volume is mounted on the machine that it is attached to, and on no other',
    { timeout },
    async () => {
      await attach(second);
      write(second, 'one');
      assert.equal(read(second), 'one');
      assert.ok(!fs.existsSync(note(first)));
    },
  );

  test(
    'its head is killed, and then all of its machine: the files are there again',
    { timeout },
    async () => {
      const heads = second.pids().filter((pid) => commandOf(pid).includes('head-process.ts'));
      assert.ok(heads.length > 0);
      for (const pid of heads) kill(pid);
      await until('it is read again', async () => read(second) === 'one');
      write(second, 'two');
      kill(second.command.pid);
      await second.kill();
      await until('that is told', async () => !(await isAttachedTo(second)));
      assert.equal((await described()).State, 'in-use');
      await second.again();
      await until('it is attached again', () => isAttachedTo(second));
      assert.equal(read(second), 'two');
    },
  );

  test('the first machine begins anew: what is mounted elsewhere stays so', { timeout }, async () => {
    const heads = () =>
      second
        .pids()
        .filter((pid) => commandOf(pid).includes('head-process.ts'))
        .join();
    const before = heads();
    await first.kill();
    await first.again();
    await until('the AWS API answers', async () => (await first.status()).gateway?.ready);
    await until('it is attached', () => isAttachedTo(second));
    assert.equal(heads(), before);
    assert.equal(read(second), 'two');
  });

  test('a snapshot is made while it is there', { timeout }, async () => {
    const { SnapshotId } = await ec2<Snapshot>('create-snapshot', '--volume-id', volume);
    await ec2('wait', 'snapshot-completed', '--snapshot-ids', must(SnapshotId));
  });

  test('detached there, it is attached here with the same files', { timeout }, async () => {
    await detach();
    assert.ok(!fs.existsSync(note(second)));
    await attach(first);
    assert.equal(read(first), 'two');
    await detach();
  });

  test('one that is cut off is detached by force, and writes nothing more', { timeout }, async () => {
    await attach(second);
    net.cut(second.number);
    await until('that is told', async () => !(await isAttachedTo(second)));
    const late = writer(second, 'old');
    const ended = once(late, 'exit');
    await ec2('detach-volume', '--volume-id', volume);
    await until('it is being detached', async () => {
      const { State, Attachments } = await described();
      return State === 'in-use' && Attachments?.[0]?.State === 'busy';
    });
    await detach('--force');
    await attach(first);
    write(first, 'new');
    // It reaches the nodes again, and hears nothing of the desk: what ends it are they.
    net.block(second.number, DESK_PORT);
    net.heal(second.number);
    const [status] = await ended;
    assert.notEqual(status, 0, 'what was never durable is not told to be');
    assert.equal(read(first), 'new');
    net.unblock(second.number);
    await until('its mount is gone', async () => !fs.existsSync(note(second)));
    assert.equal(read(first), 'new');
    await detach();
    await attach(second);
    assert.equal(read(second), 'new');
    await detach();
  });
});

/** Empty of one that has ended meanwhile. */
function commandOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
