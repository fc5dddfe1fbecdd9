/**
 * The writer of volumes on which nobody has to be held: what programs have written to their files is brought to the volumes
 * (syncfs(2)) before the cut, which is of one moment by itself. Level `filesystem`: files are as their programs left them at the
 * cut, where they were written until then; a program that was in the middle of something has to know how to go on.
 */
import type { Component, DiscoverOptions, Frozen, MountedVolume, Writer, WriterKind } from '../writer.ts';
import { syncFileSystems } from './sync.ts';

export const files: WriterKind = {
  name: 'files',
  discover: ({ volumes }: DiscoverOptions) =>
    Promise.resolve(volumes.length > 0 ? [new FilesWriter(volumes)] : []),
};

class FilesWriter implements Writer {
  readonly id = 'files';
  readonly #volumes: readonly MountedVolume[];

  constructor(volumes: readonly MountedVolume[]) {
    this.#volumes = volumes;
  }

  /** It speaks for no application: whose files these are others say, or nobody. */
  identify(): Promise<readonly Component[]> {
    return Promise.resolve([]);
  }

  /** Most of it, so that what is left to do in the freeze is little. */
  prepare(signal: AbortSignal): Promise<void> {
    return this.#sync(signal);
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    await this.#sync(signal);
    return { level: 'filesystem' };
  }

  thaw(): Promise<void> {
    return Promise.resolve();
  }

  abort(): Promise<void> {
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #sync(signal: AbortSignal): Promise<void> {
    return syncFileSystems(
      this.#volumes.map(({ mountPoint }) => mountPoint),
      signal,
    );
  }
}
