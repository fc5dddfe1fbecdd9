import { defineErrors } from '@rokka/kernel';

const doubt = (inDoubt: boolean) =>
  inDoubt ? '; whether the last change took effect is unknown until it is read again' : '';

const SQLITE_REPAIR =
  'keep the file and those beside it (-wal, -shm), and put back a copy of it; the volumes themselves are not in it';

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
  REGISTRY_CORRUPT: (path: string, why: string, repair: string = SQLITE_REPAIR) =>
    `${path} is damaged: ${why}. Stop every process of the cluster, ${repair}`,
  REGISTRY_BUSY: (path: string, ms: number) =>
    `${path} was locked by another process for ${ms} ms: see which one holds it open`,
  REGISTRY_FAILED: (path: string, why: string) => `${path}: ${why}${doubt(true)}`,
  REGISTRY_UNAVAILABLE: (ms: number, tried: string, inDoubt: boolean) =>
    `no answer of etcd within ${ms} ms (${tried}): a majority of its members must run and be reachable from here` +
    doubt(inDoubt),
  REGISTRY_REFUSED: (where: string, why: string, wayOut: string, inDoubt: boolean = false) =>
    `etcd at ${where} refused: ${why}; ${wayOut}${doubt(inDoubt)}`,
  REGISTRY_WRONG_CLUSTER: (endpoint: string, found: string, own: string) =>
    `${endpoint} is a member of the etcd cluster ${found}, those before it of ${own}: name members of one cluster only`,
  REGISTRY_REWOUND: (endpoint: string, found: number, seen: number) =>
    `etcd at ${endpoint} stands at revision ${found}, it was at ${seen} before: it was restored from an old copy or begun ` +
    `anew. Stop every process of the cluster and put back a newer copy; epochs in it must not run backwards`,
  REGISTRY_BAD_LOCATION: (location: string, why: string) =>
    `${JSON.stringify(location)} is no registry: ${why}; write sqlite:PATH or etcd:http://HOST:PORT,HOST:PORT,HOST:PORT`,
  REGISTRY_CLOSED: (path: string) => `${path} was closed already`,
});
