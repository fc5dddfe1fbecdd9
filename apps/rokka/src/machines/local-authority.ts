/** The cluster's authority in the data directory of the machine that made the cluster, and the certificates of its own processes. */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { systemClock } from '@rokka/kernel';
import { identityOfCertificate, normalHost, type Role } from '@rokka/transport';
import { ClusterAuthority, readIdentityFile, writeIdentityFile, renewalDueMs } from '@rokka/trust';
import { dataPaths } from '../data-directory.ts';

/** Made on first use. @throws TRUST_FILE_OPEN, TRUST_FILE_UNREADABLE, TRUST_FILE_FAILED */
export async function openLocalAuthority(directory: string, cluster: string): Promise<ClusterAuthority> {
  const file = dataPaths.authority(directory);
  return fs.existsSync(file)
    ? ClusterAuthority.open({ file, clock: systemClock })
    : ClusterAuthority.make({ file, cluster, clock: systemClock });
}

/**
 * Sees to it that the file holds a certificate for this member and host with more than a third of its life before it.
 * @throws TRUST_FILE_FAILED, TRUST_AUTHORITY_ENDED
 */
export async function ensureCertificate(
  authority: ClusterAuthority,
  of: { file: string; role: Role; id: string; host: string },
): Promise<void> {
  const { file, role, id, host } = of;
  if (isGood(authority, file, host)) return;
  writeIdentityFile(file, await authority.issue({ role, id, hosts: [host] }));
}

function isGood(authority: ClusterAuthority, file: string, host: string): boolean {
  if (!fs.existsSync(file)) return false;
  const { certificate, authorities } = readIdentityFile(file);
  const member = identityOfCertificate(new X509Certificate(certificate), file);
  const nowMs = systemClock.wallMs();
  const young = nowMs >= member.validFromMs && nowMs < renewalDueMs(member);
  return young && member.hosts.includes(normalHost(host)) && authorities === authority.authorities;
}
