/** The filesystem on a volume, made where there is none yet. */
import { isCoded } from '@rokka/kernel';
import { FileSystem, type Ino } from '@rokka/filesystem';
import type { Legacy } from '@rokka/fuse';
import { type PageCache, whenReady } from '@rokka/volume';
import type { EngineStart } from './engine.ts';

/** As it was before, where another head had it open and was killed. @throws what FileSystem.mountAsync throws, the signal's reason */
export async function openFilesystem(
  cache: PageCache,
  start: Pick<EngineStart, 'clock' | 'random' | 'signal' | 'legacy' | 'takesOver'>,
): Promise<FileSystem> {
  const { clock, random, signal, takesOver } = start;
  const legacy = start.legacy?.legacy;
  const options = {
    clock,
    signal,
    ...(legacy && { touched: legacy.touched }),
    ...(legacy && takesOver && { inherited: inherit(legacy) }),
  };
  if (legacy && !takesOver) for (const part of [legacy.opens, legacy.touched]) part.begin();
  try {
    return await FileSystem.mountAsync(cache, options);
  } catch (error) {
    if (!isCoded(error, 'FILESYSTEM_NONE')) throw error;
  }
  await whenReady(cache, () => FileSystem.format(cache, { clock, random }), signal);
  return FileSystem.mountAsync(cache, options);
}

function inherit({ opens, touched }: Legacy) {
  return { opened: opens.inherit() as ReadonlyMap<Ino, number>, touched: touched.inherit() };
}
