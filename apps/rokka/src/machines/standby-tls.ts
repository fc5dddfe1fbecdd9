/** What a standby needs to run the database when it must: the password that the database was made with, and its certificate. */
import * as fs from 'node:fs';
import { isCoded, must } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import { type DataDirectory, dataPaths, translated, writeDurably } from '../data-directory.ts';
import type { RemoteAccess } from '../processes/node-process.ts';
import { admitHeadAt } from './desk-client.ts';
import { joinedCertificate } from './join-directory.ts';
import { MemberTls } from './member-tls.ts';

export class StandbyTls implements AsyncDisposable {
  readonly access: Pick<RemoteAccess, 'certificate' | 'desk'>;
  readonly #tls: MemberTls;

  private constructor(tls: MemberTls, access: Pick<RemoteAccess, 'certificate' | 'desk'>) {
    this.#tls = tls;
    this.access = access;
  }

  /** As a member that nodes answer. */
  get network(): Network {
    return this.#tls.network;
  }

  /** Asks the desk, which it needs for this the first time only. @throws TRUST_FILE_*, what `admitHeadAt` throws */
  static async open(
    data: DataDirectory,
    log: (level: 'info' | 'warn', text: string) => void,
  ): Promise<StandbyTls> {
    const { desk } = must(data.identity.joined);
    const certificate = joinedCertificate(data.path, 'head');
    // A head that runs renews it as well: each process goes on with what it got, and the file has the later one.
    const tls = MemberTls.open({ file: certificate, desk, log });
    const file = dataPaths.password(data.path);
    try {
      const { password } = await admitHeadAt(desk, tls.network);
      translated(file, () => writeDurably(file, `${password}\n`));
    } catch (error) {
      if (!isCoded(error) || !fs.existsSync(file)) {
        await tls[Symbol.asyncDispose]();
        throw error;
      }
      log('info', `the desk at ${desk} does not answer (${error.code}); the password it told before is used`);
    }
    return new StandbyTls(tls, { certificate, desk });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tls[Symbol.asyncDispose]();
  }
}
