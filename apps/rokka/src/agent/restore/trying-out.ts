/** A restore that is only tried: beside the volumes in use, and away again whatever came of it. */
import * as path from 'node:path';
import { deadline, describeError } from '@rokka/kernel';
import type { Verdict, Verifier, VerifyOptions } from '@rokka/snapshots';
import { rokkaErrors } from '../../errors.ts';
import { freeDevices } from './restore-plan.ts';
import { type Judgement, judgementLines, whyNotClean } from './restore-report.ts';
import { makeAll, type Restoring, undoAll, undoneIfItFails } from './restoring.ts';

/** For a verifier to say what it has seen, once its time is over. */
const LAST_WORDS_MS = 10_000;

/** @returns why it is no success, or nothing @throws ROKKA_RESTORE_REFUSED, ROKKA_RESTORE_LEFT, and what went wrong once it is undone */
export async function tryOut(restoring: Restoring): Promise<string | undefined> {
  const { volumes, input, plan, place } = restoring;
  await volumes.demandRights({ parts: plan.parts, zone: place.zone, replaced: [] }, input.signal);
  const judgements = await undoneIfItFails(restoring, async () =>
    judge(restoring, await mountAll(restoring)),
  );
  await undoAll(restoring);
  for (const line of judgementLines(judgements)) input.say(`${line}\n`);
  const why = whyNotClean(judgements);
  input.say(why === undefined ? 'Everything starts clean.\n' : 'Not everything starts clean.\n');
  return why;
}

/** Directories, each with the one in which the volume is mounted that it shows, if it is at its device. */
type Mounts = ReadonlyMap<string, string>;

async function mountAll(restoring: Restoring): Promise<Mounts> {
  const { volumes, input, plan, place } = restoring;
  const { signal, say } = input;
  const made = await makeAll(restoring, undefined);
  // Where a volume belongs none is put that only tries: somebody may want to attach one there.
  const belong = plan.parts.map(({ device }) => device);
  const free = freeDevices([...place.attached.map(({ device }) => device), ...belong]);
  for (const { volume } of made) await attachSomewhere(restoring, volume, free);
  const mounts = new Map<string, string>();
  for (const { volume, part } of made) {
    const mountPoint = await volumes.mounted(volume, signal);
    say(`  ${volume} of ${part.snapshot}, mounted at ${mountPoint}\n`);
    mounts.set(mountPoint, path.join(path.dirname(mountPoint), path.basename(part.device)));
  }
  return mounts;
}

/** @param free is used up: one may be another account's, which is told only when it is tried */
async function attachSomewhere({ volumes, input }: Restoring, volume: string, free: string[]): Promise<void> {
  for (let device = free.shift(); device !== undefined; device = free.shift()) {
    input.signal.throwIfAborted();
    try {
      return await volumes.attach({ volume, device }, input.ending);
    } catch (error) {
      const { name, message } = error as Error;
      if (name !== 'InvalidParameterValue' || !/already in use/.test(message)) throw error;
    }
  }
  throw rokkaErrors.ROKKA_RESTORE_REFUSED(['no device is free at which a volume could be attached']);
}

async function judge(restoring: Restoring, originals: Mounts): Promise<Judgement[]> {
  const { clock, verifiers, input, verifyUntilMs } = restoring;
  const late = new AbortController();
  const ms = Math.max(0, verifyUntilMs - clock.nowMs());
  const cancel = clock.after(ms, () => late.abort(new Error('the time for verifying is over')), {
    keepAlive: true,
  });
  const mountPoints = [...originals.keys()];
  const options = { mountPoints, originals, signal: AbortSignal.any([input.signal, late.signal]) };
  const judgements: Judgement[] = [];
  try {
    for (const verifier of verifiers) {
      const work = verdictsOf(verifier, options);
      const what = `the verifier ${verifier.name} is done`;
      const verdicts = await deadline(work, { what, ms: ms + LAST_WORDS_MS, clock });
      judgements.push({ verifier: verifier.name, verdicts });
    }
  } finally {
    cancel();
  }
  input.signal.throwIfAborted();
  return judgements;
}

/** One that cannot look has not found everything clean. */
async function verdictsOf(verifier: Verifier, options: VerifyOptions): Promise<readonly Verdict[]> {
  try {
    return await verifier.verify(options);
  } catch (error) {
    const isOfTheWorld = options.signal.aborted || typeof (error as { code?: unknown }).code === 'string';
    if (!isOfTheWorld) throw error;
    return [{ what: 'all volumes', isClean: false, words: describeError(error) }];
  }
}
