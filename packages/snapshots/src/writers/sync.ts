/** Has the kernel write out what it holds. */
import { snapshotErrors } from '../errors.ts';
import { runProgram } from './program.ts';

/**
 * Everything that was written to the file systems of these paths is on their devices afterwards (syncfs(2)). Servers do not do it
 * themselves for all they have: MyISAM leaves it to the kernel, and Redis to its next second.
 *
 * A program does it, because a call that hangs in this process could not be ended. @throws SNAPSHOTS_VETO
 */
export async function syncFileSystems(paths: readonly string[], signal: AbortSignal): Promise<void> {
  const { failure, output } = await runProgram('sync', ['--file-system', ...paths], { signal });
  if (failure === undefined) return;
  throw snapshotErrors.SNAPSHOTS_VETO([`files of ${paths.join(', ')}`, `sync ${failure}: ${output}`]);
}
