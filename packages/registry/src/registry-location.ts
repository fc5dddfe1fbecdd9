/** Where a registry is, as one word that fits on a command line, and the registry that is there. */
import type { Clock, Random } from '@rokka/kernel';
import { openEtcdRegistry } from './etcd-registry.ts';
import { registryErrors } from './errors.ts';
import type { Tls } from './http-post.ts';
import type { Registry } from './registry.ts';
import { openSqliteRegistry } from './sqlite-registry.ts';

export type RegistryLocation =
  | { kind: 'sqlite'; path: string }
  /** Origins, http://host:port or https://host:port. */
  | { kind: 'etcd'; endpoints: string[] };

export interface OpenRegistryOptions {
  clock: Clock;
  random?: Random;
  /** Name of the cluster: in etcd its keys stand under rokka/NAME/. 1 to 63 of a-z, A-Z, 0-9, dot, _ and -. */
  cluster: string;
  /** SQLite: makes the file where there is none; default true. */
  create?: boolean;
  /** etcd by https: PEM. */
  tls?: Tls;
  /** How long one operation may wait for a lock, or for a majority; default 5 s. */
  patienceMs?: number;
}

/**
 * Opens `sqlite:PATH` or `etcd:http://HOST:PORT,HOST:PORT,…`.
 * @throws REGISTRY_BAD_LOCATION; what openSqliteRegistry and openEtcdRegistry throw
 */
export async function openRegistry(location: string, options: OpenRegistryOptions): Promise<Registry> {
  const parsed = parseRegistryLocation(location);
  const { clock, random, cluster, create, tls, patienceMs } = options;
  if (parsed.kind === 'sqlite') {
    return openSqliteRegistry({
      path: parsed.path,
      clock,
      ...(create !== undefined && { create }),
      ...(patienceMs !== undefined && { busyTimeoutMs: patienceMs }),
    });
  }
  const bad = (why: string) => registryErrors.REGISTRY_BAD_LOCATION([location, why]);
  if (!/^[a-zA-Z0-9._-]{1,63}$/.test(cluster)) throw bad(`${JSON.stringify(cluster)} names no cluster`);
  if (tls && parsed.endpoints.some((endpoint) => endpoint.startsWith('http:')))
    throw bad('it has certificates, but http makes no use of them; say https');
  return openEtcdRegistry({
    endpoints: parsed.endpoints,
    prefix: `rokka/${cluster}/`,
    clock,
    ...(random && { random }),
    ...(tls && { tls }),
    ...(patienceMs !== undefined && { patienceMs }),
  });
}

/** @throws REGISTRY_BAD_LOCATION */
export function parseRegistryLocation(location: string): RegistryLocation {
  const bad = (why: string) => registryErrors.REGISTRY_BAD_LOCATION([location, why]);
  const [, kind, rest = ''] = /^(sqlite|etcd):(.*)$/s.exec(location) ?? [];
  if (kind === undefined) throw bad('it begins neither with sqlite: nor with etcd:');
  if (rest === '') throw bad('nothing follows the colon');
  if (kind === 'sqlite') {
    if (rest.includes('\u0000')) throw bad('a path holds no zero byte');
    return { kind, path: rest };
  }
  const [, scheme, hosts = ''] = /^(https?):\/\/(.*)$/s.exec(rest) ?? [];
  if (scheme === undefined) throw bad('after etcd: comes http:// or https://');
  const endpoints = hosts.split(',').map((host) => originOf(scheme, host, bad));
  const twice = endpoints.find((endpoint, i) => endpoints.indexOf(endpoint) !== i);
  if (twice !== undefined) throw bad(`${twice} stands there twice`);
  return { kind: 'etcd', endpoints };
}

function originOf(scheme: string, host: string, bad: (why: string) => Error): string {
  const [, name, port] = /^([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/.exec(host) ?? [];
  if (name === undefined) throw bad(`${JSON.stringify(host)} is no HOST:PORT`);
  if (!(Number(port) >= 1 && Number(port) <= 65_535)) throw bad(`${port} is no port`);
  try {
    return `${scheme}://${new URL(`${scheme}://${name}`).hostname}:${Number(port)}`;
  } catch {
    throw bad(`${JSON.stringify(name)} is no host`);
  }
}
