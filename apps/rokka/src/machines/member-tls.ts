/** One process of ours as a member of the cluster: its certificate, which renews itself, and the TLS network made with it. */
import { describeError, systemClock, systemRandom, type CodedError } from '@rokka/kernel';
import { tlsNetwork, type Network, type Role } from '@rokka/transport';
import { CertificateKeeper, renewOver, type Renew } from '@rokka/trust';
import { RefusalLog } from './refusal-log.ts';

export interface MemberTlsOptions {
  /** Key and certificate (trust/identity-file.ts). */
  file: string;
  /** `host:port` where certificates are renewed. */
  desk: string;
  /** Instead of asking the desk: for the process that holds the authority. */
  renew?: Renew;
  acceptRoles?: readonly Role[];
  log(level: 'info' | 'warn', text: string): void;
}

export class MemberTls implements AsyncDisposable {
  readonly network: Network;
  readonly keeper: CertificateKeeper;

  private constructor(network: Network, keeper: CertificateKeeper) {
    this.network = network;
    this.keeper = keeper;
  }

  /** @throws TRUST_FILE_MISSING, TRUST_FILE_OPEN, TRUST_FILE_UNREADABLE, TRUST_FILE_FAILED */
  static open({ file, desk, renew, acceptRoles, log }: MemberTlsOptions): MemberTls {
    const refusals = new RefusalLog(systemClock, (text) => log('warn', text));
    const network = tlsNetwork({
      clock: systemClock,
      random: systemRandom,
      identity: () => keeper.identity(),
      ...(acceptRoles && { acceptRoles }),
      onRefused: (reason) => refusals.add(reason),
    });
    const keeper = CertificateKeeper.open({
      file,
      clock: systemClock,
      renew: renew ?? renewOver({ network, address: desk, clock: systemClock }),
      onFailure: (reason) => log('info', `no new certificate yet: ${describeError(reason)}`),
      onWarning: (warning: CodedError) => log('warn', describeError(warning)),
    });
    return new MemberTls(network, keeper);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keeper[Symbol.asyncDispose]();
  }
}
