/** Which servers serve: a writer that can tell what its server has, has asked it. */
import { describeError } from '@rokka/kernel';
import type { MountedVolume, Writer, WriterKind } from '../writer.ts';
import type { AnsweredServer } from './stopped-notes.ts';

/** Those that answer now; one that does not is left out. */
export async function answeringOn(
  kinds: readonly WriterKind[],
  volumes: readonly MountedVolume[],
  signal: AbortSignal,
): Promise<AnsweredServer[]> {
  const found: AnsweredServer[] = [];
  for (const kind of kinds) {
    const writers = await kind.discover({ volumes, signal }).catch(() => [] as Writer[]);
    signal.throwIfAborted();
    for (const writer of writers) {
      await using _ = writer;
      const components = await writer.identify(signal).catch(() => []);
      signal.throwIfAborted();
      const [directory] = components[0]?.paths ?? [];
      if (directory !== undefined) found.push({ kind: kind.name, directory });
    }
  }
  return found;
}

/** @returns why it does not, where it does not */
export async function doesAnswer(
  kinds: readonly WriterKind[],
  { server, volumes }: { server: AnsweredServer; volumes: readonly MountedVolume[] },
  signal: AbortSignal,
): Promise<string | undefined> {
  const kind = kinds.find(({ name }) => name === server.kind);
  if (!kind) return undefined;
  let why = 'it is not there';
  const writers = await kind.discover({ volumes, signal }).catch((error: unknown) => {
    why = describeError(error);
    return [] as Writer[];
  });
  signal.throwIfAborted();
  for (const writer of writers) {
    await using _ = writer;
    try {
      const components = await writer.identify(signal);
      if (components[0]?.paths[0] === server.directory) return undefined;
    } catch (error) {
      signal.throwIfAborted();
      why = describeError(error);
    }
  }
  return why;
}
