/**
 * Settings (SET) of the sessions on the one backend. Before a session's turn the backend gets what differs between what it
 * has and what the session wants; clients of one kind mostly want the same, and then nothing is sent. After a turn that
 * touched settings they are read back from the backend, so that it alone decides what a SET means.
 */
import type { EngineLife } from './engine-life.ts';
import { sqlName, sqlString } from './backend-sql.ts';
import type { BackendState, WireSession } from './wire-session.ts';

export type Settings = ReadonlyMap<string, string>;

/** Not settings of pg_settings, but they go with them: who the session is. */
const AUTHORIZATION = 'session_authorization';
const ROLE = 'role';
/** In the order in which they are set. */
const IDENTITY: readonly string[] = [AUTHORIZATION, ROLE];
/** What ends with the transaction, and needs no turn of its own. */
const READ_BACK =
  "select name, setting from pg_catalog.pg_settings where source = 'session' and name not like 'transaction\\_%'";

export class SessionSettings {
  readonly #backend: BackendState;
  readonly #user: string;

  constructor(options: { backend: BackendState; user: string }) {
    this.#backend = options.backend;
    this.#user = options.user;
  }

  /** Whether the backend's settings are those of `wanted` already. */
  has(wanted: Settings): boolean {
    const present = this.#backend.settings;
    if (present !== wanted && switchSql(present, wanted) !== '') return false;
    this.#backend.settings = wanted;
    return true;
  }

  /** Makes the backend's settings those of `wanted`. @throws DATABASE_SQL_FAILED, such as for a role that was dropped */
  async apply(life: EngineLife, wanted: Settings): Promise<void> {
    if (this.has(wanted)) return;
    // One simple query is one transaction: where it fails, the backend keeps what it had.
    await this.#backend.run(life, switchSql(this.#backend.settings, wanted));
    this.#backend.settings = wanted;
  }

  /** Sets what a start-up packet wants. @returns the names as they were given with what they mean @throws DATABASE_SQL_FAILED */
  async adopt(life: EngineLife, session: WireSession, wanted: Settings): Promise<Map<string, string>> {
    await this.apply(life, new Map());
    await this.apply(life, wanted);
    const shown = new Map<string, string>();
    for (const name of wanted.keys()) {
      const value = await this.#backend.run(life, `select current_setting(${sqlString(name)})`);
      shown.set(name, value[0][0] ?? '');
    }
    await this.readBack(life, session);
    session.startupSettings = session.settings;
    return shown;
  }

  /** Reads back what the session's turn made of the settings, and gives it what RESET goes back to. */
  async readBack(life: EngineLife, session: WireSession): Promise<void> {
    const [identity] = await this.#backend.run(life, `select session_user, current_setting('role')`);
    const [user, role] = identity;
    const identified = new Map<string, string>();
    if (user !== null && user !== this.#user) identified.set(AUTHORIZATION, user);
    if (role !== null && role !== 'none') identified.set(ROLE, role);
    // As another role some settings are hidden, and would stay behind unseen for the next session.
    if (identified.size > 0) await this.#backend.run(life, 'reset session authorization; reset role');
    const found = new Map<string, string>();
    for (const [name, value] of await this.#backend.run(life, this.#readBackSql()))
      if (name !== null && value !== null) found.set(name, value);
    this.#backend.settings = found;
    session.settings = new Map([...session.startupSettings, ...found, ...identified]);
  }

  #readBackSql(): string {
    const custom = [...this.#backend.customSettings].map((name) => {
      const string = sqlString(name);
      return `union all select ${string}, nullif(current_setting(${string}, true), '')`;
    });
    return [READ_BACK, ...custom].join(' ');
  }
}

/** Statements that lead from one set of settings to the other; empty where they are the same. */
export function switchSql(present: Settings, wanted: Settings): string {
  const dropped = [...present.keys()].filter((name) => !wanted.has(name) && !isIdentity(name));
  const changed = [...wanted].filter(([name, value]) => !isIdentity(name) && present.get(name) !== value);
  const sameIdentity = IDENTITY.every((name) => present.get(name) === wanted.get(name));
  if (sameIdentity && dropped.length + changed.length === 0) return '';
  const statements: string[] = [];
  // First back to the superuser: as somebody else we could not change the others.
  if (IDENTITY.some((name) => present.has(name)))
    statements.push('reset session authorization', 'reset role');
  for (const name of dropped) statements.push(`reset ${settingName(name)}`);
  for (const name of IDENTITY) {
    const value = wanted.get(name);
    if (value !== undefined) changed.push([name, value]);
  }
  for (const [name, value] of changed)
    statements.push(`select pg_catalog.set_config(${sqlString(name)}, ${sqlString(value)}, false)`);
  return statements.join(';');
}

/** The parts of a setting's name are quoted one by one. */
function settingName(name: string): string {
  return name.split('.').map(sqlName).join('.');
}

function isIdentity(name: string): boolean {
  return IDENTITY.includes(name);
}
