/** A writer's first act: its log in memory begins, with what the writer before had taken and its nodes did not have, or with nothing. */
import { Deferred, type Epoch, type Lsn } from '@rokka/kernel';
import type { RamLog } from './ram-log.ts';
import type { AsyncRecordSink } from './record-sink.ts';

/** Whoever opens the volume says so in the log before it, where it is to take over. @throws VOLUME_NOT_RESUMABLE */
export function claim(of: { ramLog?: RamLog; takesOver?: boolean }, volumeEpoch: Epoch): void {
  // Each opening raises the epoch by one: the one below was the last writer's.
  if (of.takesOver) of.ramLog?.claim({ epochBefore: (volumeEpoch - 1) as Epoch, volumeEpoch });
}

/**
 * Appends once more, as a writer's own, what was taken and is not durable. All of it is durable when this resolves, so that whoever reads
 * finds it on the nodes. Records are bytes at places: one that had reached them after all does no harm.
 * @param of.vdl where recovery found the volume to end
 * @throws VOLUME_NOT_RESUMABLE
 */
export async function takeUp(
  volume: AsyncRecordSink,
  of: { ramLog?: RamLog; takesOver?: boolean; volumeEpoch: Epoch; vdl: Lsn; signal?: AbortSignal },
): Promise<void> {
  const { ramLog, takesOver, volumeEpoch, vdl, signal } = of;
  if (!ramLog) return;
  if (!takesOver) return ramLog.begin(volumeEpoch);
  for (const { bytes, recordCount, origin } of ramLog.takeOver({ volumeEpoch, vdl })) {
    await unless(signal, volume.whenRoom(bytes.length, recordCount));
    ramLog.origin = origin;
    volume.append(bytes, recordCount);
  }
  ramLog.origin = 0n;
  ramLog.tookOver();
  await unless(signal, volume.whenDurable(volume.applied));
}

/** @throws the signal's reason */
async function unless(signal: AbortSignal | undefined, work: Promise<void>): Promise<void> {
  if (!signal) return work;
  const aborted = new Deferred<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    // Whoever was given up on may still fail.
    work.catch(() => {});
  }
}
