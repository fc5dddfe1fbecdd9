/** The kinds of applications that are known, in the order in which they stop. What scripts speak for may use the servers, so it stops first. */
import type { Clock } from '@rokka/kernel';
import type { ApplicationKind } from './application.ts';
import { REDIS } from './redis.ts';
import { stopScripts } from './scripts.ts';
import { MARIADB, POSTGRESQL, servers } from './servers.ts';
import { systemd } from './systemd.ts';

export interface ApplicationKindsOptions {
  /** The directory of this machine's own scripts. */
  readonly scripts: string;
  /** Of this process, on no volume. */
  readonly stateDirectory: string;
  readonly clock: Clock;
}

export function applicationKinds(options: ApplicationKindsOptions): ApplicationKind[] {
  const species = [POSTGRESQL, MARIADB, REDIS];
  return [
    stopScripts({ directory: options.scripts }),
    systemd({ species }),
    ...species.map((each) => servers(each, options)),
  ];
}
