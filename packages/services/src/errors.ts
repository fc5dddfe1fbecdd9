import { defineErrors } from '@rokka/kernel';

export const servicesErrors = defineErrors({
  IDENTITY_BUSY: (key: string, attempts: number) =>
    `${key} was changed by others ${attempts} times while this change was tried: try again`,
  SERVICE_RECORD_BUSY: (key: string, attempts: number) =>
    `${key} was changed by others ${attempts} times while this change was tried: try again`,
  SERVICE_STEPS_ENDLESS: (what: string, steps: number) =>
    `${what} is not as it shall be after ${steps} steps: it is looked at again`,
  IDENTITY_NO_ACCOUNT: () => `this cluster has no account yet: its first start makes one`,
  IDENTITY_BAD_PROFILE: (path: string, why: string) =>
    `${path}: ${why}; move it away, and it is written anew`,
  AUDIT_BUSY: (waiting: number) =>
    `${waiting} calls wait to be written down: the disk of the audit trail is too slow for more`,
  AUDIT_CLOSED: (path: string) => `${path} was closed already`,
  AUDIT_FOREIGN: (path: string) => `${path} is a database of another program: choose another directory`,
  AUDIT_VERSION: (path: string, found: number, own: number) =>
    `${path} has schema version ${found}, this program reads ${own}: use the program that made it`,
  AUDIT_FAILED: (path: string, why: string) =>
    `${path}: ${why}; what was to be written down is not known to be there`,
});
