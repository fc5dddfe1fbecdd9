/**
 * What a set of snapshots gets once it is known what it is worth: the tags that say so, and the image that was asked for. The snapshots stay, whatever
 * becomes of that.
 */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { describeError, isCoded } from '@rokka/kernel';
import type { Outcome } from '@rokka/snapshots';
import { type ActionInput, type ActionResult, failed, succeeded } from './action.ts';
import { isAwsError } from './aws-answers.ts';
import { allVolumes, type OwnVolumes } from './own-instance.ts';
import type { Tag } from './tag-list.ts';
import { type ImageOptions, makeImage } from './vss-image.ts';
import { APP_CONSISTENT, tagsOf } from './vss-report.ts';
import type { VssRequest } from './vss-request.ts';

interface Settling extends Pick<ActionInput, 'say' | 'signal'>, Pick<ImageOptions, 'clock' | 'imageNamed'> {
  readonly client: EC2Client;
  readonly volumes: OwnVolumes;
  readonly request: Pick<VssRequest, 'description' | 'tags' | 'noWriters' | 'imageName'>;
}

/** Puts the tags on; `AppConsistent` when all others are there. */
export async function settle(outcome: Outcome, of: Settling): Promise<ActionResult> {
  const { client, volumes, request, signal, say } = of;
  const { set, level, reasons } = outcome;
  if (!set) return failed(reasons.join('\n'));
  const { CreateTagsCommand } = await import('@aws-sdk/client-ec2');
  const tag = (Resources: string[], Tags: Tag[]) =>
    client.send(new CreateTagsCommand({ Resources, Tags }), { abortSignal: signal });
  for (const { snapshot, volume } of set.snapshots) {
    const device = allVolumes(volumes).find((one) => one.volume === volume)?.device;
    await tag([snapshot], tagsOf(outcome, device));
  }
  const made = await imageOf(outcome, of);
  if (made.image !== undefined) say(`Image ${made.image}, ${request.imageName}, has these snapshots.\n`);
  // The image last: where it has the tag, its snapshots have it too.
  const all = [
    ...set.snapshots.map(({ snapshot }) => snapshot),
    ...(made.image === undefined ? [] : [made.image]),
  ];
  if (level === 'application') await tag(all, [APP_CONSISTENT]);
  const wanted = request.noWriters ? 'filesystem' : 'application';
  const lacks = made.why !== undefined ? [`no image was made: ${made.why}`] : [];
  const isWanted = level === wanted || level === 'application';
  if (isWanted && lacks.length === 0) return succeeded;
  const lower = isWanted ? [] : [`the snapshots are of level ${level}, not ${wanted}`, ...reasons];
  return failed([...lower, ...lacks].join('\n'));
}

/** None where none was asked for; the snapshots stay, whatever becomes of it. */
async function imageOf(outcome: Outcome, of: Settling): Promise<{ image?: string; why?: string }> {
  const { client, clock, volumes, request, imageNamed, signal } = of;
  const { description, tags, imageName: name } = request;
  if (name === undefined) return {};
  const all = { devices: allVolumes(volumes), rootDevice: volumes.boot?.device };
  const image = { name, description, tags: [...tags, ...tagsOf(outcome, undefined)] };
  try {
    return { image: await makeImage(client, { outcome, ...all, ...image, clock, imageNamed, signal }) };
  } catch (error) {
    if (!isCoded(error) && !isAwsError(error)) throw error;
    return { why: describeError(error) };
  }
}
