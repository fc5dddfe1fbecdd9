import { defineErrors } from '@rokka/kernel';

/** Why somebody could not be made, or stay, a member of the cluster. */
export const trustErrors = defineErrors({
  TRUST_BAD_NAME: (what: string, value: string) =>
    `${JSON.stringify(value)} can be no ${what}: 1 to 64 letters, digits, dots, dashes or underscores`,
});
