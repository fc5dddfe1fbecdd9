/**
 * What AWSEC2-CreateVssSnapshot is asked for, checked before anything is done.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-vss-snaps.html
 */
import { IMAGE_NAME_RULE, isImageName, type JsonObject } from '@rokka/services';
import { rokkaErrors } from '../errors.ts';
import { flagOf, textOf } from './inputs.ts';
import { WRITERS_VERSION } from './packages.ts';
import { parseTags, type Tag } from './tag-list.ts';

export interface VssRequest {
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly excludesBoot: boolean;
  readonly noWriters: boolean;
  /** Of the image that is made of the snapshots; undefined where none is. */
  readonly imageName: string | undefined;
  /** Whether the report is kept in the output, with each writer's components. */
  readonly saveMetadata: boolean;
  /** Whether a file on the machine keeps what was seen on the way. */
  readonly collectsLogs: boolean;
}

/** @throws ROKKA_TAGS_INVALID, ROKKA_SNAPSHOT_REFUSED */
export function vssRequestOf(inputs: JsonObject): VssRequest {
  const refuse = (why: string) => rokkaErrors.ROKKA_SNAPSHOT_REFUSED([why]);
  const noWriters = flagOf(inputs, 'NoWriters');
  const saveMetadata = flagOf(inputs, 'SaveVssMetadata');
  const version = textOf(inputs, 'VssVersion');
  const excludesBoot = flagOf(inputs, 'ExcludeBootVolume');
  const imageName = textOf(inputs, 'AmiName');
  const isImaged = flagOf(inputs, 'CreateAmi');
  if (isImaged && excludesBoot)
    throw refuse('an image has the boot volume: ExcludeBootVolume is False with CreateAmi');
  if (isImaged && !isImageName(imageName)) throw refuse(`AmiName is "${imageName}": ${IMAGE_NAME_RULE}`);
  if (!isImaged && imageName !== '') throw refuse('AmiName is for CreateAmi=True alone');
  if (noWriters && saveMetadata)
    throw refuse('without writers there is no metadata of theirs: SaveVssMetadata');
  if (!['', WRITERS_VERSION].includes(version))
    throw refuse(`the writers are of version ${WRITERS_VERSION}, not ${version}`);
  // Nothing that a writer here keeps depends on its last backup: CopyOnly is so in any case.
  return {
    description: textOf(inputs, 'description'),
    tags: parseTags(textOf(inputs, 'tags')),
    excludesBoot,
    imageName: isImaged ? imageName : undefined,
    noWriters,
    saveMetadata,
    collectsLogs: flagOf(inputs, 'CollectDiagnosticLogs'),
  };
}
