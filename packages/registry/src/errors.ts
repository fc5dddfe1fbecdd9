import { defineErrors } from '@rokka/kernel';

export const registryErrors = defineErrors({
  REGISTRY_CONFLICT: (key: string, expected: number, found: number) =>
    `${key} is at revision ${found}, not ${expected}: somebody else was first; read it again`,
  REGISTRY_BAD_KEY: (key: string) =>
    `${JSON.stringify(key)} is no key: 1 to 512 printable ASCII characters without spaces`,
  REGISTRY_BAD_VALUE: (key: string, why: string) => `value of ${key}: ${why}`,
  REGISTRY_MISSING: (path: string) =>
    `${path} does not exist: point --data at a cluster's directory, or create one`,
  REGISTRY_VERSION: (path: string, found: number, own: number) =>
    `${path} has schema version ${found}, this program reads ${own}: use the program that made it`,
  REGISTRY_FOREIGN: (path: string) =>
    `${path} is a database of another program: point --data at another directory`,
  REGISTRY_CORRUPT: (path: string, why: string) =>
    `${path} is damaged: ${why}. Stop every process of the cluster, keep the file and those beside it (-wal, -shm), ` +
    `and put back a copy of it; the volumes themselves are not in it`,
  REGISTRY_BUSY: (path: string, ms: number) =>
    `${path} was locked by another process for ${ms} ms: see which one holds it open`,
  REGISTRY_FAILED: (path: string, why: string) =>
    `${path}: ${why}; whether the last change took effect is unknown until it is read again`,
  REGISTRY_CLOSED: (path: string) => `${path} was closed already`,
});
