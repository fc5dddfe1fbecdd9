/**
 * The account under which PostgreSQL runs. It refuses to run as root, and rightly so: whoever is superuser of the database
 * can read and write files as the server's account.
 *
 * `switch`: the head has real power over user ids, the server gets another one. `map`: the head is root only in the user
 * namespace of an ordinary user; a nested user namespace calls that same user by a number that is not 0.
 */
import * as fs from 'node:fs';
import { databaseErrors } from '../errors.ts';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly how: 'switch' | 'map';
}

export interface AccountFacts {
  /** /etc/passwd */
  readonly passwd: string;
  /** /proc/self/uid_map: first id inside, first id outside, count. */
  readonly uidMap: string;
  /** /proc/self/setgroups: `allow` or `deny`. */
  readonly setgroups: string;
}

/** In order of preference: an account of our own, PostgreSQL's, the one that every system has. */
const NAMES = ['rokka', 'postgres', 'nobody'];

/** @throws DATABASE_NO_ACCOUNT */
export function findAccount(wanted?: string): Account {
  const facts = {
    passwd: fs.readFileSync('/etc/passwd', 'utf8'),
    uidMap: fs.readFileSync('/proc/self/uid_map', 'latin1'),
    setgroups: fs.readFileSync('/proc/self/setgroups', 'latin1'),
  };
  return chooseAccount(facts, wanted);
}

export function chooseAccount(facts: AccountFacts, wanted?: string): Account {
  const users = parsePasswd(facts.passwd).filter(({ uid }) => uid !== 0);
  const ranges = facts.uidMap
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number]);
  const names = wanted === undefined ? NAMES : [wanted];
  if (facts.setgroups.trim() === 'allow') {
    for (const name of names) {
      const user = users.find((user) => user.name === name);
      const known = ranges.some(([first, , count]) => user && user.uid >= first && user.uid < first + count);
      if (user && known) return { ...user, how: 'switch' };
    }
    throw databaseErrors.DATABASE_NO_ACCOUNT([names.join(', ')]);
  }
  // initdb asks for the account's name, so the number has to be one that the machine knows; his own reads best in ps(1).
  const outside = ranges[0]?.[1];
  const user =
    users.find(({ uid }) => uid === outside) ?? users.find(({ name }) => name === 'nobody') ?? users[0];
  if (!user) throw databaseErrors.DATABASE_NO_ACCOUNT(['nobody']);
  return { ...user, how: 'map' };
}

/** The owner that the database's files have, as the head sees it: in `map` the head and the server are one user. */
export function fileOwner(account: Account): { uid: number; gid: number } {
  return account.how === 'switch' ? { uid: account.uid, gid: account.gid } : { uid: 0, gid: 0 };
}

function parsePasswd(text: string): { name: string; uid: number; gid: number }[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
}
