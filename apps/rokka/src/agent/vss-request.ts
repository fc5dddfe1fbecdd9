/**
 * What AWSEC2-CreateVssSnapshot is asked for, checked before anything is done.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-vss-snaps.html
 */
import type { JsonObject } from '@rokka/services';
import { rokkaErrors } from '../errors.ts';
import { flagOf, textOf } from './inputs.ts';
import { WRITERS_VERSION } from './packages.ts';
import { parseTags, type Tag } from './tag-list.ts';

export interface VssRequest {
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly excludesBoot: boolean;
  readonly noWriters: boolean;
  /** Whether the report is kept in the output, with each writer's components. */
  readonly saveMetadata: boolean;
}

/** @throws ROKKA_TAGS_INVALID, ROKKA_SNAPSHOT_REFUSED */
export function vssRequestOf(inputs: JsonObject): VssRequest {
  const refuse = (why: string) => rokkaErrors.ROKKA_SNAPSHOT_REFUSED([why]);
  const noWriters = flagOf(inputs, 'NoWriters');
  const saveMetadata = flagOf(inputs, 'SaveVssMetadata');
  const version = textOf(inputs, 'VssVersion');
  if (flagOf(inputs, 'CreateAmi') || textOf(inputs, 'AmiName') !== '')
    throw refuse('there are no images here: leave CreateAmi and AmiName out');
  if (noWriters && saveMetadata)
    throw refuse('without writers there is no metadata of theirs: SaveVssMetadata');
  if (!['', WRITERS_VERSION].includes(version))
    throw refuse(`the writers are of version ${WRITERS_VERSION}, not ${version}`);
  // Nothing that a writer here keeps depends on its last backup: CopyOnly is so in any case.
  return {
    description: textOf(inputs, 'description'),
    tags: parseTags(textOf(inputs, 'tags')),
    excludesBoot: flagOf(inputs, 'ExcludeBootVolume'),
    noWriters,
    saveMetadata,
  };
}
