import { defineErrors } from '@rokka/kernel';

export const snapshotsErrors = defineErrors({
  SNAPSHOTS_LATE: (who: string, step: string, ms: number) => `${who} did not ${step} within ${ms} ms`,
  SNAPSHOTS_STOPPED: (why: string) => `the snapshot was stopped: ${why}`,
});
