/**
 * The documents that Amazon owns, as far as they can be carried out here: with the names and parameters that AWS's have, and one step
 * each; and one of ours, for which AWS has only a script. They have one version, and nobody changes them.
 */
import { contentHash } from './content-hash.ts';
import { type JsonObject } from './document-model.ts';
import { SCHEMA_VERSION } from './document-parsing.ts';

export interface BuiltinDocument {
  readonly name: string;
  readonly content: string;
  /** SHA-256 in hexadecimal. */
  readonly hash: string;
}

const PLATFORM = { StringEquals: ['platformType', 'Linux'] };
const SECONDS = '([1-9][0-9]{0,4}|1[0-6][0-9]{4}|17[0-1][0-9]{3}|172[0-7][0-9]{2}|172800)';

const text = (description: string, byDefault: string) => ({
  type: 'String',
  description,
  default: byDefault,
});
const flag = (description: string, byDefault = 'False') => ({
  ...text(description, byDefault),
  allowedValues: ['True', 'False'],
});
const seconds = (byDefault: string) => ({
  ...text('The time in seconds that it may take, up to 172800.', byDefault),
  allowedPattern: `^${SECONDS}$`,
});
const same = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, `{{ ${name} }}`]));

function builtin(
  name: string,
  of: { description: string; parameters: JsonObject; action: string; inputs: JsonObject },
): [string, BuiltinDocument] {
  const { description, parameters, action, inputs } = of;
  const step = { action, name: action.slice('aws:'.length), precondition: PLATFORM, inputs };
  const content = JSON.stringify(
    { schemaVersion: SCHEMA_VERSION, description, parameters, mainSteps: [step] },
    undefined,
    2,
  );
  return [name, { name, content, hash: contentHash(content) }];
}

export const BUILTIN_DOCUMENTS: ReadonlyMap<string, BuiltinDocument> = new Map([
  builtin('AWSEC2-CreateVssSnapshot', {
    description: 'Takes application-consistent snapshots of the volumes that are attached to an instance.',
    action: 'aws:createVssSnapshot',
    parameters: {
      ExcludeBootVolume: flag('Whether the boot volume is left out.'),
      description: text('Of the snapshots.', ''),
      tags: text('Of the snapshots: Key=Name,Value=Test;Key=User,Value=One', 'Key=Name,Value='),
      CopyOnly: flag('Whether incremental backups of the writers go on as if there had been no snapshot.'),
      NoWriters: flag('Whether the writers of applications are left out.'),
      CreateAmi: flag('Whether an image of the snapshots is made, with the boot volume.'),
      AmiName: text('Of the image.', ''),
      executionTimeout: seconds('900'),
      CollectDiagnosticLogs: flag('Whether what was seen on the way is kept.'),
      SaveVssMetadata: flag('Whether what the writers said of themselves is kept.'),
      VssVersion: text('Of the package; the one that is installed unless given.', ''),
    },
    inputs: {
      ...same('ExcludeBootVolume', 'description', 'tags', 'CopyOnly', 'NoWriters', 'CreateAmi', 'AmiName'),
      ...same('CollectDiagnosticLogs', 'SaveVssMetadata', 'VssVersion'),
      timeoutSeconds: '{{ executionTimeout }}',
    },
  }),
  builtin('AWSEC2-ManageVssIO', {
    description: 'Holds what is written to the volumes of an instance, or lets it go on.',
    action: 'aws:manageVssIO',
    parameters: {
      Action: { type: 'String', description: 'What is done.', allowedValues: ['Freeze', 'Thaw'] },
    },
    inputs: same('Action'),
  }),
  builtin('Rokka-RestoreVssSnapshot', {
    description:
      'Tries whether the snapshots of a set can be restored, or puts them in the places of the volumes that they show.',
    action: 'aws:restoreVssSnapshot',
    parameters: {
      SnapshotSetId: text(
        'Of the snapshots, as their tag AwsVssConfig has it. latest, in Mode Test: the newest of the instance that is consistent for applications.',
        '',
      ),
      MaxAgeHours: {
        ...text('Of the latest set: an older one is a failure. No limit unless given.', ''),
        allowedPattern: '^([1-9][0-9]{0,4})?$',
      },
      SnapshotIds: {
        type: 'StringList',
        description: 'All snapshots of one set, instead of its id.',
        default: [],
      },
      ImageId: {
        ...text('An image, all of whose snapshots are meant.', ''),
        allowedPattern: '^(ami-([0-9a-f]{8}|[0-9a-f]{17}))?$',
      },
      Mode: {
        ...text('Test: beside the volumes in use, and away again. Replace: in their places.', 'Test'),
        allowedValues: ['Test', 'Replace'],
      },
      Verify: flag('Before a Replace: whether the snapshots are tried, as by a Test.', 'True'),
      executionTimeout: seconds('3600'),
    },
    inputs: {
      ...same('SnapshotSetId', 'MaxAgeHours', 'SnapshotIds', 'ImageId', 'Mode', 'Verify'),
      timeoutSeconds: '{{ executionTimeout }}',
    },
  }),
  builtin('AWS-ConfigureAWSPackage', {
    description: 'Installs or uninstalls a package.',
    action: 'aws:configurePackage',
    parameters: {
      action: { type: 'String', description: 'What is done.', allowedValues: ['Install', 'Uninstall'] },
      installationType: {
        ...text('How an update goes on.', 'Uninstall and reinstall'),
        allowedValues: ['Uninstall and reinstall', 'In-place update'],
      },
      name: { type: 'String', description: 'Of the package.', allowedPattern: '^[a-zA-Z0-9_.:/-]{1,200}$' },
      version: text('Of the package; the latest unless given.', ''),
      additionalArguments: text('For the scripts of the package: a map in JSON.', '{}'),
    },
    inputs: same('action', 'installationType', 'name', 'version', 'additionalArguments'),
  }),
  builtin('AWS-RunShellScript', {
    description: 'Run a shell script or specify the commands to run.',
    action: 'aws:runShellScript',
    parameters: {
      commands: {
        type: 'StringList',
        description: 'The lines of the script.',
        minItems: 1,
        displayType: 'textarea',
      },
      workingDirectory: text('Where it runs.', ''),
      executionTimeout: seconds('3600'),
    },
    inputs: {
      runCommand: '{{ commands }}',
      workingDirectory: '{{ workingDirectory }}',
      timeoutSeconds: '{{ executionTimeout }}',
    },
  }),
]);

/** AWS reserves them. */
export const RESERVED_PREFIXES = /^(aws|amazon|amzn)/i;
