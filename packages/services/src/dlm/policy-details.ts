/**
 * What a policy is to do, checked and with all its defaults; and as it is shown.
 * https://docs.aws.amazon.com/dlm/latest/APIReference/API_PolicyDetails.html
 */
import type { PolicyDetails, Schedule } from '@aws-sdk/client-dlm';
import { tagRules } from '../ec2/ec2-inputs.ts';
import { isReservedOfSnapshots } from '../ec2/snapshot-claims.ts';
import { checkedTags, type GivenTag, type Tag } from '../tags.ts';
import { tagShapes } from '../ec2/volume-shapes.ts';
import { dlmFailures } from './dlm-failures.ts';
import { demandBuilt, given } from './dlm-inputs.ts';
import type { PolicyDetailsRecord, ScheduleRecord } from './dlm-records.ts';
import { createRuleShape, checkedCreateRule } from './create-rule.ts';
import { checkedRetainRule } from './retain-rule.ts';

const SCHEDULES_MAX = 4;
const TARGET_TAGS_MAX = 50;
const TAGS_TO_ADD_MAX = 45;
const NAME_MAX = 120;

/** @throws InvalidRequestException */
export function checkedDetails(details: PolicyDetails | undefined, nowMs: number): PolicyDetailsRecord {
  const input = given(details, 'PolicyDetails');
  demandBuilt(input, [
    'Parameters',
    'PolicyLanguage',
    'PolicyType',
    'ResourceLocations',
    'ResourceTypes',
    'Schedules',
    'TargetTags',
  ]);
  const { PolicyType = 'EBS_SNAPSHOT_MANAGEMENT', PolicyLanguage = 'STANDARD' } = input;
  if (PolicyType !== 'EBS_SNAPSHOT_MANAGEMENT')
    throw dlmFailures.invalid(
      `PolicyType ${PolicyType} is not supported here: there are no images and no shared snapshots. Use EBS_SNAPSHOT_MANAGEMENT.`,
    );
  if (PolicyLanguage !== 'STANDARD')
    throw dlmFailures.invalid(`PolicyLanguage ${PolicyLanguage} is not supported here: use STANDARD.`);
  if ((input.ResourceLocations ?? ['CLOUD']).join() !== 'CLOUD')
    throw dlmFailures.invalid('ResourceLocations other than CLOUD are not supported here: leave them out.');
  const resourceType = checkedResourceType(input);
  return {
    resourceType,
    ...(resourceType === 'INSTANCE' &&
      input.Parameters?.ExcludeBootVolume !== true && { includesBoot: true }),
    targetTags: checkedTargetTags(input.TargetTags),
    schedules: checkedSchedules(input.Schedules, { resourceType, nowMs }),
  };
}

export function detailsShape(details: PolicyDetailsRecord): PolicyDetails {
  const { resourceType, includesBoot = false, targetTags, schedules } = details;
  return {
    PolicyType: 'EBS_SNAPSHOT_MANAGEMENT',
    PolicyLanguage: 'STANDARD',
    ResourceTypes: [resourceType],
    ResourceLocations: ['CLOUD'],
    TargetTags: tagShapes(targetTags),
    Schedules: schedules.map(scheduleShape),
    ...(resourceType === 'INSTANCE' && { Parameters: { ExcludeBootVolume: !includesBoot } }),
  };
}

function checkedResourceType({ ResourceTypes = [], Parameters = {} }: PolicyDetails) {
  const [type, ...others] = ResourceTypes;
  if ((type !== 'INSTANCE' && type !== 'VOLUME') || others.length > 0)
    throw dlmFailures.invalid('ResourceTypes has INSTANCE or VOLUME, one of them.');
  demandBuilt(Parameters, type === 'INSTANCE' ? ['ExcludeBootVolume'] : []);
  return type;
}

/** Several may have one key: one of them is enough. */
function checkedTargetTags(tags: readonly GivenTag[] = []): Tag[] {
  if (tags.length === 0 || tags.length > TARGET_TAGS_MAX)
    throw dlmFailures.invalid(`TargetTags has 1 to ${TARGET_TAGS_MAX} tags.`);
  return tags.flatMap((tag) => checkedTags([tag], dlmTagRules));
}

function checkedSchedules(
  schedules: readonly Schedule[] = [],
  of: { resourceType: PolicyDetailsRecord['resourceType']; nowMs: number },
): ScheduleRecord[] {
  if (schedules.length === 0 || schedules.length > SCHEDULES_MAX)
    throw dlmFailures.invalid(`Schedules has 1 to ${SCHEDULES_MAX} schedules.`);
  const checked = schedules.map((schedule) => checkedSchedule(schedule, of));
  const names = checked.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw dlmFailures.invalid(`Two schedules have the name ${twice}.`);
  return checked;
}

function checkedSchedule(
  schedule: Schedule,
  of: { resourceType: PolicyDetailsRecord['resourceType']; nowMs: number },
): ScheduleRecord {
  demandBuilt(schedule, ['CopyTags', 'CreateRule', 'Name', 'RetainRule', 'TagsToAdd']);
  const { Name, CreateRule, RetainRule, TagsToAdd = [], CopyTags = false } = schedule;
  const name = given(Name, 'Schedules.Name');
  if (name.length > NAME_MAX)
    throw dlmFailures.invalid(`Schedules.Name has more than ${NAME_MAX} characters.`);
  if (TagsToAdd.length > TAGS_TO_ADD_MAX)
    throw dlmFailures.invalid(`TagsToAdd has up to ${TAGS_TO_ADD_MAX} tags.`);
  return {
    name,
    ...checkedCreateRule(CreateRule, of),
    retain: checkedRetainRule(RetainRule),
    tagsToAdd: checkedTagsToAdd(TagsToAdd),
    copiesTags: CopyTags,
  };
}

/** What only the agent knows of a snapshot, no policy says. */
function checkedTagsToAdd(given: readonly GivenTag[]): Tag[] {
  const tags = checkedTags(given, dlmTagRules);
  const reserved = tags.find(({ Key }) => isReservedOfSnapshots(Key));
  if (!reserved) return tags;
  throw dlmFailures.invalid(
    `TagsToAdd has ${reserved.Key}, by which a snapshot says how it was made: leave it out.`,
  );
}

/** Of what is tagged in EC2. */
const dlmTagRules = { keyMax: tagRules.keyMax, invalid: dlmFailures.invalid, tooMany: dlmFailures.invalid };

const scheduleShape = (schedule: ScheduleRecord): Schedule => ({
  Name: schedule.name,
  CopyTags: schedule.copiesTags,
  TagsToAdd: tagShapes(schedule.tagsToAdd),
  CreateRule: createRuleShape(schedule),
  RetainRule: { ...schedule.retain },
});
