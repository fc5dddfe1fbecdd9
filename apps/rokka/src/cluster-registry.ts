/** The registry of the cluster that a data directory belongs to: every process of ours that reads or writes cluster state opens it here. */
import * as fs from 'node:fs';
import { isCoded, systemClock } from '@rokka/kernel';
import { openRegistry, type Registry, type Tls } from '@rokka/registry';
import { dataPaths, readIdentity, type DataIdentity, type RegistryChoice } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';

/** @throws ROKKA_NOT_RUNNING where there is no data directory, ROKKA_PEM_UNREADABLE, what `openRegistry` throws */
export async function openClusterRegistry(directory: string, known?: DataIdentity): Promise<Registry> {
  const identity = known ?? readIdentity(directory);
  if (!identity) throw rokkaErrors.ROKKA_NOT_RUNNING([directory]);
  const { cluster, registry } = identity;
  if (!registry) {
    return openRegistry(`sqlite:${dataPaths.registry(directory)}`, { cluster, clock: systemClock });
  }
  const tls = tlsOf(registry);
  return openRegistry(registry.location, { cluster, clock: systemClock, ...(tls && { tls }) });
}

function tlsOf({ ca, cert, key }: RegistryChoice): Tls | undefined {
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(cert !== undefined && { cert: readPem(cert) }),
    ...(key !== undefined && { key: readPem(key) }),
  };
}

function readPem(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (isCoded(error)) throw error;
    throw rokkaErrors.ROKKA_PEM_UNREADABLE([file, (error as NodeJS.ErrnoException).code ?? String(error)]);
  }
}
