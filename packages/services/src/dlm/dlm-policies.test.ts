/** Policies as records: what they may say, how they are shown, listed, changed and tagged, and what callers must be allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CreateLifecyclePolicyCommand, PolicyDetails, Schedule } from '@aws-sdk/client-dlm';
import type { OperationEntry } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { detailsOf, DlmBench, policyArn, roleArn, scripted } from '../testing/dlm-bench.ts';
import { ACCOUNT, callIn, REGION } from '../testing/service-bench.ts';
import { dlmOperations } from './dlm-handlers.ts';

const invalid = (message: RegExp) => ({ name: 'InvalidRequestException', message });
const none = { name: 'ResourceNotFoundException' };

test('a policy is shown with all its defaults', async () => {
  using bench = new DlmBench();
  const id = await bench.policy({ CreateRule: { Interval: 12, Scripts: scripted().Scripts } });
  assert.match(id, /^policy-[0-9a-f]{17}$/);
  const { DateCreated, DateModified, ...shown } = await bench.shown(id);
  assert.deepEqual([DateCreated, DateModified], [new Date(bench.clock.wallMs()), DateCreated]);
  assert.deepEqual(shown, {
    PolicyId: id,
    PolicyArn: policyArn(id),
    Description: 'nightly',
    State: 'ENABLED',
    StatusMessage: '',
    ExecutionRoleArn: roleArn('lifecycle'),
    PolicyDetails: {
      PolicyType: 'EBS_SNAPSHOT_MANAGEMENT',
      PolicyLanguage: 'STANDARD',
      ResourceTypes: ['INSTANCE'],
      ResourceLocations: ['CLOUD'],
      TargetTags: [{ Key: 'backup', Value: 'yes' }],
      Schedules: [
        {
          Name: 'night',
          CopyTags: false,
          TagsToAdd: [],
          CreateRule: {
            Location: 'CLOUD',
            Interval: 12,
            IntervalUnit: 'HOURS',
            Times: ['09:00'],
            Scripts: [
              {
                ExecutionHandler: 'AWS_VSS_BACKUP',
                ExecutionHandlerService: 'AWS_SYSTEMS_MANAGER',
                ExecuteOperationOnScriptFailure: true,
                MaximumRetryCount: 0,
              },
            ],
          },
          RetainRule: { Count: 2 },
        },
      ],
      Parameters: { ExcludeBootVolume: true },
    },
    Tags: {},
    DefaultPolicy: false,
  });
  // What is shown can be given again.
  const { PolicyDetails } = shown;
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId: id, PolicyDetails });
  assert.deepEqual((await bench.shown(id)).PolicyDetails, PolicyDetails);
});

const NIGHTLY = { Interval: 24, Times: ['03:00'] };
const SCHEDULES: [schedule: Schedule, why: RegExp][] = [
  [{ Name: '' }, /^Schedules.Name must be given/],
  [{ Name: 'x'.repeat(121) }, /^Schedules.Name has more/],
  [{ VariableTags: [{ Key: 'a', Value: '$(timestamp)' }] }, /^VariableTags is not supported here/],
  [{ FastRestoreRule: { Count: 1 } }, /^FastRestoreRule is not/],
  [{ CrossRegionCopyRules: [{ Encrypted: false, Target: 'x' }] }, /^CrossRegionCopyRules is not/],
  [{ ShareRules: [{ TargetAccounts: [ACCOUNT] }] }, /^ShareRules is not/],
  [{ DeprecateRule: { Count: 1 } }, /^DeprecateRule is not/],
  [{ ArchiveRule: { RetainRule: { RetentionArchiveTier: { Count: 1 } } } }, /^ArchiveRule is not/],
  [{ TagsToAdd: [{ Key: 'aws:x', Value: '' }] }, /^The tag aws:x is not valid/],
  ...['AppConsistent', 'Device', 'AwsVssConfig'].map((Key): [Schedule, RegExp] => [
    { TagsToAdd: [{ Key, Value: 'True' }] },
    new RegExp(`^TagsToAdd has ${Key}, `),
  ]),
  [{ CreateRule: undefined }, /^Schedules.CreateRule must be given/],
  [{ CreateRule: {} }, /^CreateRule has either/],
  [{ CreateRule: { ...NIGHTLY, CronExpression: 'cron(0 3 * * ? *)' } }, /^CreateRule has either/],
  [{ CreateRule: { CronExpression: 'cron(0/5 * * * ? *)' } }, /is due more than once in 60 minutes\.$/],
  [{ CreateRule: { Interval: 5 } }, /^CreateRule.Interval is one of 1, 2, 3, 4, 6, 8, 12, 24/],
  [{ CreateRule: { Interval: 24, Times: ['3:00'] } }, /^CreateRule.Times has one time/],
  [{ CreateRule: { Interval: 24, Times: ['03:00', '04:00'] } }, /^CreateRule.Times has one time/],
  [{ CreateRule: { ...NIGHTLY, Location: 'LOCAL_ZONE' } }, /^CreateRule.Location/],
  [{ CreateRule: scripted({ ExecutionHandler: 'mine' }) }, /^The script mine of AWS_SYSTEMS_MANAGER is not/],
  [{ CreateRule: scripted({ Stages: ['PRE'] }) }, /^Stages is not supported/],
  [{ CreateRule: scripted({ ExecutionTimeout: 10 }) }, /^ExecutionTimeout is not supported/],
  [{ CreateRule: scripted({ MaximumRetryCount: 4 }) }, /^MaximumRetryCount of 4/],
  [{ RetainRule: undefined }, /^Schedules.RetainRule must be given/],
  [{ RetainRule: {} }, /^RetainRule has either/],
  [{ RetainRule: { Count: 1, Interval: 1, IntervalUnit: 'DAYS' } }, /^RetainRule has either/],
  [{ RetainRule: { Count: 1001 } }, /^RetainRule.Count of 1001/],
  [{ RetainRule: { Count: 0 } }, /^RetainRule.Count of 0/],
  [{ RetainRule: { Interval: 1 } }, /^RetainRule.IntervalUnit must be given/],
  [{ RetainRule: { Interval: 101, IntervalUnit: 'YEARS' } }, /^RetainRule.Interval of 101/],
];
const DETAILS: [details: PolicyDetails, why: RegExp][] = [
  [{ PolicyType: 'IMAGE_MANAGEMENT' }, /^PolicyType IMAGE_MANAGEMENT is not/],
  [{ PolicyLanguage: 'SIMPLIFIED' }, /^PolicyLanguage SIMPLIFIED is not/],
  [{ ResourceTypes: ['INSTANCE', 'VOLUME'] }, /^ResourceTypes has/],
  [{ ResourceTypes: [] }, /^ResourceTypes has/],
  [{ ResourceLocations: ['OUTPOST'] }, /^ResourceLocations other than CLOUD/],
  [{ TargetTags: [] }, /^TargetTags has 1 to 50 tags/],
  [{ Schedules: [] }, /^Schedules has 1 to 4/],
  [{ Schedules: Array.from({ length: 5 }, () => ({})) }, /^Schedules has 1 to 4/],
  [{ Schedules: [...(detailsOf().Schedules ?? []), ...(detailsOf().Schedules ?? [])] }, /the name night\.$/],
  [{ Parameters: { ExcludeBootVolume: true, NoReboot: true } }, /^NoReboot is not supported/],
  [
    { Parameters: { ExcludeBootVolume: true, ExcludeDataVolumeTags: [{ Key: 'a', Value: 'b' }] } },
    /^ExcludeDataVolumeTags is not supported/,
  ],
  [{ ResourceTypes: ['VOLUME'], Parameters: { ExcludeBootVolume: true } }, /^ExcludeBootVolume is not/],
  [{ ...detailsOf({ CreateRule: scripted() }), ResourceTypes: ['VOLUME'], Parameters: {} }, /^Scripts are/],
  [{ CopyTags: true }, /^CopyTags is not supported/],
];

test('what is not carried out is refused, and why is said', async () => {
  using bench = new DlmBench();
  const PolicyId = await bench.policy();
  const update = (PolicyDetails: PolicyDetails) =>
    bench.dlm.call('UpdateLifecyclePolicy', { PolicyId, PolicyDetails });
  for (const [schedule, why] of SCHEDULES)
    await assert.rejects(update(detailsOf(schedule)), invalid(why), JSON.stringify(schedule));
  for (const [details, why] of DETAILS)
    await assert.rejects(update({ ...detailsOf(), ...details }), invalid(why), JSON.stringify(details));
  const input = { ExecutionRoleArn: roleArn('lifecycle'), Description: 'd', PolicyDetails: detailsOf() };
  const create = (part: object) =>
    bench.dlm.call('CreateLifecyclePolicy', { ...input, State: 'ENABLED', ...part });
  const foreign = await bench.role('foreign', undefined, 'ec2.amazonaws.com');
  await assert.rejects(create({ ExecutionRoleArn: roleArn('none') }), invalid(/^There is no role/));
  await assert.rejects(create({ ExecutionRoleArn: 'x' }), invalid(/^There is no role x/));
  await assert.rejects(create({ ExecutionRoleArn: foreign }), invalid(/dlm.amazonaws.com to assume it/));
  await assert.rejects(create({ Description: 'ü' }), invalid(/^Description has/));
  await assert.rejects(create({ State: 'ERROR' }), invalid(/^State ERROR is not/));
  await assert.rejects(create({ PolicyDetails: undefined }), invalid(/^PolicyDetails must be given/));
  await assert.rejects(create({ DefaultPolicy: 'VOLUME' }), invalid(/^DefaultPolicy is not supported/));
  await assert.rejects(create({ Tags: { 'aws:x': '' } }), invalid(/^The tag aws:x/));
  for (let count = 1; count < 100; count++) await create({});
  await assert.rejects(create({}), { name: 'LimitExceededException' });
});

test('policies are found by what they say', async () => {
  using bench = new DlmBench();
  const one = await bench.policy({ TagsToAdd: [{ Key: 'a', Value: 'b' }] });
  const { PolicyId: two } = await bench.dlm.call('CreateLifecyclePolicy', {
    ExecutionRoleArn: roleArn('lifecycle'),
    Description: 'other',
    State: 'DISABLED',
    PolicyDetails: detailsOf({}, { ResourceTypes: ['VOLUME'], TargetTags: [{ Key: 'x', Value: 'y' }] }),
  });
  const found = async (input: object, where: object = {}) => {
    const { Policies = [] } = await bench.dlm.call('GetLifecyclePolicies', input, where);
    return new Set(Policies.map(({ PolicyId }) => PolicyId));
  };
  assert.deepEqual(await found({}), new Set([one, two]));
  assert.deepEqual(await found({ State: 'DISABLED' }), new Set([two]));
  assert.deepEqual(await found({ ResourceTypes: ['INSTANCE'] }), new Set([one]));
  assert.deepEqual(await found({ TargetTags: ['x=y', 'backup=no'] }), new Set([two]));
  assert.deepEqual(await found({ TagsToAdd: ['a=b'] }), new Set([one]));
  assert.deepEqual(await found({ PolicyIds: [one], State: 'DISABLED' }), new Set());
  assert.deepEqual(await found({ DefaultPolicyType: 'ALL' }), new Set());
  assert.deepEqual(await found({}, { region: 'eu-west-9' }), new Set());
  await assert.rejects(found({ PolicyIds: [one, 'policy-0'] }), none);
});

test('a policy has tags, is changed, and goes', async () => {
  using bench = new DlmBench();
  const id = await bench.policy();
  const ResourceArn = policyArn(id);
  await bench.dlm.call('TagResource', { ResourceArn, Tags: { team: 'red', x: '' } });
  await bench.dlm.call('TagResource', { ResourceArn, Tags: { team: 'green' } });
  await bench.dlm.call('UntagResource', { ResourceArn, TagKeys: ['x', 'none'] });
  assert.deepEqual(await bench.dlm.call('ListTagsForResource', { ResourceArn }), { Tags: { team: 'green' } });
  const elsewhere = { ResourceArn: ResourceArn.replace(REGION, 'eu-west-9') };
  await assert.rejects(bench.dlm.call('ListTagsForResource', elsewhere), none);
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId: id, Description: 'anew', State: 'DISABLED' });
  const { Description, State, Tags } = await bench.shown(id);
  assert.deepEqual([Description, State, Tags], ['anew', 'DISABLED', { team: 'green' }]);
  await bench.dlm.call('DeleteLifecyclePolicy', { PolicyId: id });
  for (const name of ['GetLifecyclePolicy', 'UpdateLifecyclePolicy', 'DeleteLifecyclePolicy'] as const)
    await assert.rejects(bench.dlm.call(name, { PolicyId: id }), none);
  await assert.rejects(bench.shown('../x'), none);
});

test('who makes a policy must be allowed to pass its role', async () => {
  using bench = new DlmBench();
  const id = await bench.policy();
  await bench.dlm.call('TagResource', { ResourceArn: policyArn(id), Tags: { team: 'red' } });
  const table = dlmOperations(bench.dlmContext());
  const call = callIn({ account: ACCOUNT, region: REGION });
  const { resources } = table.CreateLifecyclePolicy as OperationEntry<typeof CreateLifecyclePolicyCommand>;
  const ExecutionRoleArn = roleArn('lifecycle');
  const asks = await resources?.(
    { ExecutionRoleArn, Description: 'd', State: 'ENABLED', PolicyDetails: detailsOf() },
    call,
  );
  assert.deepEqual(must(asks), [
    { arn: '*' },
    {
      arn: ExecutionRoleArn,
      action: 'iam:PassRole',
      conditions: { 'iam:PassedToService': 'dlm.amazonaws.com' },
    },
  ]);
  const update = table.UpdateLifecyclePolicy as { resources(input: object, call: object): unknown };
  assert.deepEqual(await update.resources({ PolicyId: id }, call), [
    { arn: policyArn(id), conditions: { 'aws:ResourceTag/team': 'red' } },
  ]);
});
