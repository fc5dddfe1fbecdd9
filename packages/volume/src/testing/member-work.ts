/** A volume that is written while its members come and go, and what is known of them then. */
import assert from 'node:assert/strict';
import { must } from '@rokka/kernel';
import { allMembers } from '@rokka/quorum';
import type { VolumeOptions } from '../volume-options.ts';
import type { VolumeRecord } from '../volume-record.ts';
import { PageWriter } from './page-writer.ts';
import { nodeId, type SixNodes, VOLUME_ID, type Writer } from './six-nodes.ts';

/** The healer keeps out where a test takes the steps itself. */
export const BY_HAND: Partial<VolumeOptions> = { fleet: () => [] };
export const IMPATIENT: Partial<VolumeOptions> = {
  healingTimes: { awayMs: 2_000, behindMs: 20_000, returnedMs: 500, blockedMs: 3_000 },
};

export type Life = Writer & { pages: PageWriter };

export async function written(six: SixNodes, options: Partial<VolumeOptions>, count = 40): Promise<Life> {
  const writer = await six.writer(options);
  const life = { ...writer, pages: new PageWriter(writer.volume) };
  for (let i = 0; i < count; i++) await six.run(life.pages.commit(i, `text ${i}`));
  return life;
}

export async function recordOf(six: SixNodes): Promise<VolumeRecord> {
  return must(await six.registry.get<VolumeRecord>(`volumes/${VOLUME_ID}`)).value;
}

export async function groupOf(six: SixNodes, pg = 0) {
  const { membership, missing, retired } = must((await recordOf(six)).groups[pg]);
  const { epoch } = membership;
  return { epoch, members: allMembers(membership).map(({ node }) => node as string), missing, retired };
}

export const names = (...numbers: number[]) => numbers.map(nodeId);
export const statusOf = (writer: Writer, node: number, pg = 0) =>
  writer.volume.status().groups[pg]?.members.find((member) => member.node === nodeId(node));
/** Waits until it is so. */
export async function until(six: SixNodes, what: string, is: () => boolean | Promise<boolean>, ms = 30_000) {
  for (const endMs = six.clock.nowMs() + ms; !(await is());) {
    assert.ok(six.clock.nowMs() < endMs, `never ${what}; told: ${six.said.join('; ')}`);
    await six.pass(50);
  }
}

export async function assertReadable(six: SixNodes, count = 40, options = BY_HAND): Promise<Life> {
  const writer = await six.writer(options);
  const pages = new PageWriter(writer.volume);
  for (let i = 0; i < count; i++) assert.equal(await six.run(pages.text(i, `text ${i}`.length)), `text ${i}`);
  return { ...writer, pages };
}
