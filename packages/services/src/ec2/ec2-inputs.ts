/**
 * What inputs may say. A member that is not carried out is refused, never dropped: whoever asks for encryption or for more than
 * a volume has must not believe that he has it. What asks for nothing (`false`, an empty list) is no request.
 */
import type { TagSpecification } from '@aws-sdk/client-ec2';
import { isRegion, type Scope, zonesOf } from '../scope.ts';
import { checkedTags, type Tag, type TagRules, withTags } from '../tags.ts';
import { ec2Failures } from './ec2-failures.ts';
import { isId, type ResourceKind } from './ec2-ids.ts';
import type { VolumeKind } from './ec2-records.ts';

/** What is asked of all operations, and done by the gateway or true of everything here. */
const EVERYWHERE = ['DryRun', 'IncludeManagedResources'];
const SIZE_GIB_MAX: Readonly<Record<VolumeKind, number>> = { gp2: 16_384, gp3: 65_536 };
const OTHER_TYPES = ['io1', 'io2', 'st1', 'sc1', 'standard'];
/** Of gp3, without paying for more. */
export const BASELINE = { iops: 3000, throughputMiB: 125 };
const DEVICE = /^\/dev\/(sd[b-p]|xvd[b-z]|xvd[b-d][a-z])$/;
export const BOOT_DEVICE = '/dev/xvda';
const BOOT_DEVICES = [BOOT_DEVICE, '/dev/sda1', '/dev/sda'];
const DESCRIPTION_MAX = 255;

/** @throws UnsupportedOperation */
export function demandBuilt<I extends object>(input: I, built: readonly (keyof I & string)[]): void {
  for (const [member, value] of Object.entries(input)) {
    if ([...built, ...EVERYWHERE].includes(member) || asksNothing(value)) continue;
    throw ec2Failures.unsupported(`${member} is not supported here with this value: leave it out.`);
  }
}

const asksNothing = (value: unknown) =>
  value === undefined || value === false || value === '' || (Array.isArray(value) && value.length === 0);

/** The scope of a call. @throws InvalidParameterValue for a region that is none */
export function scopeOf({ account, region }: Scope): Scope {
  if (!isRegion(region)) throw ec2Failures.parameter(`${region.slice(0, 64)} is not a region.`);
  return { account, region };
}

/** @throws MissingParameter */
export function given<T>(value: T | undefined, member: string): T {
  if (value !== undefined && value !== '') return value;
  throw ec2Failures.missing(member);
}

/** @throws MissingParameter, InvalidParameterValue, Invalid…ID.Malformed */
export function checkedId(kind: ResourceKind, text: string | undefined): string {
  const id = given(text, `${kind}Id`);
  if (!isId(kind, id)) throw ec2Failures.malformed(kind, id);
  return id;
}

/** @throws InvalidParameterValue, InvalidParameterCombination, UnknownVolumeType, UnsupportedOperation */
export function checkedKind(
  input: {
    VolumeType?: string | undefined;
    Iops?: number | undefined;
    Throughput?: number | undefined;
  },
  otherwise: VolumeKind,
): VolumeKind {
  const { VolumeType: kind = otherwise, Iops, Throughput } = input;
  if (OTHER_TYPES.includes(kind))
    throw ec2Failures.unsupported(`Volumes of type ${kind} are not supported here: use gp3.`);
  if (kind !== 'gp2' && kind !== 'gp3')
    throw ec2Failures.volumeType(`Unsupported volume type '${kind.slice(0, 64)}'.`);
  if (kind === 'gp2' && (Iops !== undefined || Throughput !== undefined))
    throw ec2Failures.combination('Iops and Throughput cannot be specified for a volume of type gp2.');
  if (Iops !== undefined && Iops !== BASELINE.iops)
    throw ec2Failures.parameter(
      `Volume iops of ${Iops} is not supported here: every volume has ${BASELINE.iops}, or leave it out.`,
    );
  if (Throughput !== undefined && Throughput !== BASELINE.throughputMiB)
    throw ec2Failures.parameter(
      `Throughput of ${Throughput} is not supported here: every volume has ${BASELINE.throughputMiB}, or leave it out.`,
    );
  return kind;
}

/** @throws InvalidParameterValue */
export function checkedSize(sizeGiB: number, kind: VolumeKind): number {
  const max = SIZE_GIB_MAX[kind];
  if (Number.isInteger(sizeGiB) && sizeGiB >= 1 && sizeGiB <= max) return sizeGiB;
  throw ec2Failures.parameter(
    `Volume of ${sizeGiB}GiB is ${sizeGiB > max ? 'too large' : 'too small'} for volume type ${kind}; it has 1 to ${max} GiB.`,
  );
}

/** @throws MissingParameter, InvalidZone.NotFound */
export function checkedZone(zone: string | undefined, scope: Scope): string {
  const name = given(zone, 'AvailabilityZone');
  if (zonesOf(scope).includes(name)) return name;
  throw ec2Failures.noZone(`The zone '${name.slice(0, 64)}' does not exist.`);
}

/** @throws InvalidParameterValue */
export function checkedDevice(device: string | undefined): { device: string; mount: string } {
  const name = given(device, 'Device');
  if (BOOT_DEVICES.includes(name))
    throw ec2Failures.parameter(
      `Invalid value '${name}' for unixDevice. Attachment point ${name} is already in use`,
    );
  if (!DEVICE.test(name))
    throw ec2Failures.parameter(
      `Value (${name.slice(0, 64)}) for parameter device is invalid. ${name.slice(0, 64)} is not a valid EBS device name.`,
    );
  return { device: name, mount: name.slice('/dev/'.length) };
}

/** @throws InvalidParameterValue */
export function checkedDescription(description = ''): string {
  if (description.length > DESCRIPTION_MAX)
    throw ec2Failures.parameter(`The description has more than ${DESCRIPTION_MAX} characters.`);
  return description;
}

export const tagRules: TagRules = {
  keyMax: 127,
  invalid: ec2Failures.parameter,
  tooMany: ec2Failures.tagLimit,
};

/** What shall be tagged with the creation of one kind of thing. @throws InvalidParameterValue, TagLimitExceeded */
export function tagsAtCreation(kind: ResourceKind, given: readonly TagSpecification[] | undefined): Tag[] {
  let tags: Tag[] = [];
  for (const { ResourceType, Tags } of given ?? []) {
    if (ResourceType !== kind)
      throw ec2Failures.parameter(
        `'${String(ResourceType).slice(0, 64)}' is not a valid taggable resource type for this operation.`,
      );
    tags = withTags(tags, checkedTags(Tags, tagRules), tagRules);
  }
  return tags;
}
