/** What tests need of the machine, and why those that lack it are skipped. */
import { spawnSync } from 'node:child_process';
import { probeNativeSupport } from '@rokka/databases';

const support = await probeNativeSupport();

/** False where nothing lacks. */
export function whySkipped(needs: { readonly cli?: boolean; readonly root?: boolean } = {}): string | false {
  if (!support.possible) return `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
  if (needs.cli && spawnSync('aws', ['--version']).status !== 0) return 'the AWS CLI is not installed';
  if (needs.root && process.getuid?.() !== 0) return 'only root mounts where all of the machine sees it';
  return false;
}
