/** The accounts of this machine, as /etc/passwd names them (passwd(5)). */
import * as fs from 'node:fs/promises';

export interface Account {
  readonly name: string;
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
}

export async function accountOf(uid: number): Promise<Account | undefined> {
  return parseAccounts(await fs.readFile('/etc/passwd', 'utf8')).find((account) => account.uid === uid);
}

export function parseAccounts(passwd: string): Account[] {
  return passwd
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
}
