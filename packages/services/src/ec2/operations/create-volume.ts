import type { CreateVolumeCommand, Volume } from '@aws-sdk/client-ec2';
import {
  type IdempotencyMark,
  idempotencyMark,
  type InputOf,
  judgeRepetition,
  type Operation,
} from '@rokka/gateway';
import { must } from '@rokka/kernel';
import type { Scope } from '../../scope.ts';
import { liveClaim, tokenKey } from '../claims.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { newVolumeId } from '../ec2-ids.ts';
import {
  checkedKind,
  checkedSize,
  checkedZone,
  demandBuilt,
  scopeOf,
  tagsAtCreation,
} from '../ec2-inputs.ts';
import { findSnapshot } from '../ec2-lookup.ts';
import { askFor, askForNew } from '../ec2-permissions.ts';
import { recordKeys, type VolumeRecord } from '../ec2-records.ts';
import { volumeShape } from '../volume-shapes.ts';
import { snapshotState } from '../status.ts';
import { settled } from '../volume-changes.ts';
import { readVolume, type VolumeFacts } from '../volume-facts.ts';

type Input = InputOf<typeof CreateVolumeCommand>;

const TOKEN = /^[!-~]{1,64}$/;

/**
 * An empty one with a filesystem on it, or one with what a snapshot has.
 * @throws InvalidSnapshot.NotFound, IncorrectState, InvalidZone.NotFound, IdempotentParameterMismatch, and what inputs may not say
 */
export const createVolume = (services: Ec2Services): Operation<typeof CreateVolumeCommand> => ({
  async resources({ SnapshotId, TagSpecifications: tags }, call) {
    const asks = askForNew(call, 'volume', { operation: 'CreateVolume', tags });
    return SnapshotId ? [...asks, await askFor(services, call, ['snapshot', SnapshotId])] : asks;
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'AvailabilityZone',
      'ClientToken',
      'Iops',
      'Size',
      'SnapshotId',
      'TagSpecifications',
      'Throughput',
      'VolumeType',
    ]);
    const token = tokenOf(input);
    const known = token && (await repeated(services, scope, token));
    return known ?? made(services, scope, await recordOf(services, scope, { input, token }));
  },
});

/** @throws InvalidParameterValue */
function tokenOf(input: Input): IdempotencyMark | undefined {
  const mark = idempotencyMark(input);
  if (mark && !TOKEN.test(mark.token))
    throw ec2Failures.parameter('The ClientToken has 1 to 64 printable ASCII characters.');
  return mark;
}

/** @throws IdempotentParameterMismatch */
async function repeated(
  services: Ec2Services,
  scope: Scope,
  token: IdempotencyMark,
): Promise<Volume | undefined> {
  const claim = await liveClaim(services.store, tokenKey(scope, token.token));
  const facts = claim && (await readVolume(services, scope, must(claim.volume)));
  if (!facts) return undefined;
  if (judgeRepetition(facts.volume.token, token) === 'mismatch')
    throw ec2Failures.idempotency(
      `Arguments on this idempotent request are inconsistent with arguments used in previous request(s) with the client token ${token.token.slice(0, 64)}.`,
    );
  return volumeShape(scope, facts);
}

async function made(services: Ec2Services, scope: Scope, record: VolumeRecord): Promise<Volume> {
  const { store } = services;
  await store.enter(scope);
  const isNew = await store.create(recordKeys.volume(scope, record.id), record);
  const facts: VolumeFacts | undefined = isNew ? await settled(services, scope, record) : undefined;
  if (facts) return volumeShape(scope, facts);
  // Another one with its token was faster.
  const other = record.token && (await repeated(services, scope, record.token));
  if (!other) throw ec2Failures.notFound('volume', [record.id]);
  return other;
}

async function recordOf(
  services: Ec2Services,
  scope: Scope,
  { input, token }: { input: Input; token: IdempotencyMark | undefined },
): Promise<VolumeRecord> {
  const { clock, random } = services;
  const type = checkedKind(input, 'gp3');
  const zone = checkedZone(input.AvailabilityZone, scope);
  const tags = tagsAtCreation('volume', input.TagSpecifications);
  const source = input.SnapshotId ? await sourceOf(services, scope, input.SnapshotId) : undefined;
  const sizeGiB = input.Size ?? source?.sizeGiB;
  if (sizeGiB === undefined) throw ec2Failures.missing('size/snapshot');
  if (source && sizeGiB < source.sizeGiB)
    throw ec2Failures.parameter(
      `Volume of ${sizeGiB}GiB is smaller than snapshot '${source.id}', expect size >= ${source.sizeGiB}GiB`,
    );
  return {
    id: newVolumeId(random),
    createdAtMs: clock.wallMs(),
    zone,
    sizeGiB: checkedSize(sizeGiB, type),
    type,
    tags,
    ...(source && { snapshot: source.id }),
    ...(token && { token, unconfirmed: true }),
    wish: source ? { source: source.point, kept: source.kept } : {},
  };
}

async function sourceOf(services: Ec2Services, scope: Scope, name: string) {
  const facts = await findSnapshot(services, scope, name);
  const { record, kept } = facts;
  const state = snapshotState(facts);
  if (state !== 'completed' || !kept)
    throw ec2Failures.state(`Snapshot is in invalid state - ${state}: ${record.id}`);
  return {
    id: record.id,
    sizeGiB: record.volume.sizeGiB,
    kept: kept.name,
    point: { archive: kept.volumeId, lsn: must(kept.lsn), materialise: true },
  };
}
