/** The filesystem on a volume, made where there is none yet. */
import { isCoded } from '@rokka/kernel';
import { FileSystem, type Ino } from '@rokka/filesystem';
import { type PageCache, whenReady } from '@rokka/volume';
import type { EngineStart } from './engine.ts';

/** @param opened how often each inode is open still @throws what FileSystem.mountAsync throws, the signal's reason */
export async function openFilesystem(
  cache: PageCache,
  start: Pick<EngineStart, 'clock' | 'random' | 'signal'>,
  opened?: ReadonlyMap<number, number>,
): Promise<FileSystem> {
  const { clock, random, signal } = start;
  try {
    const counts = opened && { opened: opened as ReadonlyMap<Ino, number> };
    return await FileSystem.mountAsync(cache, { clock, signal, ...counts });
  } catch (error) {
    if (!isCoded(error, 'FILESYSTEM_NONE')) throw error;
  }
  await whenReady(cache, () => FileSystem.format(cache, { clock, random }), signal);
  return FileSystem.mountAsync(cache, { clock, signal });
}
