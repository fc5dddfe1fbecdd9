/** The writers of this machine: of which kinds, in which order they freeze, and where their scripts are. */
import type { Clock } from '@rokka/kernel';
import { type MountedVolume, postgresql, type Writer, type WriterKind } from '@rokka/snapshots';

export interface MachineWritersOptions {
  /** The directory of this machine's own pre- and post-scripts. */
  readonly scripts: string;
  /** Where an attempt is noted down before its scripts run. */
  readonly state: string;
  readonly clock: Clock;
}

export interface MachineWriters {
  /**
   * Those that have something on the volumes, tier by tier: applications first, and the kernel, which writes out what they wrote, last.
   * @throws what a kind throws that found something and cannot reach it
   */
  find(
    volumes: readonly MountedVolume[],
    of: { noWriters: boolean; signal: AbortSignal },
  ): Promise<Writer[][]>;
  /** After a crash of this process. Answers what was done, in words. */
  recover(): Promise<string>;
}

export function machineWriters(_options: MachineWritersOptions): MachineWriters {
  const applications: readonly WriterKind[] = [postgresql()];
  const kernel: readonly WriterKind[] = [];
  const discover = async (
    kinds: readonly WriterKind[],
    volumes: readonly MountedVolume[],
    signal: AbortSignal,
  ) => (await Promise.all(kinds.map((kind) => kind.discover({ volumes, signal })))).flat();
  return {
    async find(volumes, { noWriters, signal }) {
      const first = noWriters ? [] : await discover(applications, volumes, signal);
      return [first, await discover(kernel, volumes, signal)];
    },
    recover: async () => '',
  };
}
