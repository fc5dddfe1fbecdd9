/** What a user of a volume may put where a server's files would be. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { findClusters, parsePidFile } from './postgresql-cluster.ts';

const OPTIONS = { timeout: 120_000 };
const ASROOT = { ...OPTIONS, skip: process.getuid?.() !== 0 && 'root is needed, for a second account' };
const signal = () => AbortSignal.timeout(60_000);
const NOBODY = 65_534;
const PORT = 5_432;

for (const pipe of ['postmaster.pid', 'PG_VERSION'])
  test(`a ${pipe} that is a pipe is read by nobody`, OPTIONS, async (t) => {
    const base = await answeringCluster(t);
    assert.equal((await findClusters([{ mountPoint: base }], signal())).length, 1, 'it is a server before');
    fs.rmSync(path.join(base, pipe));
    execFileSync('mkfifo', [path.join(base, pipe)]);
    await standIn(t, { directory: base });
    assert.deepEqual(await findClusters([{ mountPoint: base }], signal()), []);
  });

test('a process of another account is not the server, and does not hide it', ASROOT, async (t) => {
  const base = await answeringCluster(t);
  const theirs = await standIn(t, { directory: base, uid: NOBODY });
  const ours = await standIn(t, { directory: base });
  const [cluster] = await findClusters([{ mountPoint: base }], signal());
  assert.ok(theirs < ours);
  assert.deepEqual(cluster.socketDirectories, [base, path.join(`/proc/${ours}/root`, base)]);
});

test("the socket's directory is an absolute path, and stays in the root of its process", OPTIONS, () => {
  const directoryOf = (text: string) => parsePidFile(`1\n/data\n0\n${PORT}\n${text}\n`)?.socketDirectory;
  assert.equal(directoryOf('/run/postgresql'), '/run/postgresql');
  assert.equal(directoryOf('/../../1/root/run'), '/1/root/run');
  for (const text of ['sockets', '../sockets', '@abstract', '']) assert.equal(directoryOf(text), '');
});

/** A data directory with a socket that answers. */
async function answeringCluster(t: TestContext): Promise<string> {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-cluster-'));
  fs.chmodSync(base, 0o755);
  fs.mkdirSync(path.join(base, 'pg_tblspc'));
  fs.writeFileSync(path.join(base, 'PG_VERSION'), '18\n');
  fs.writeFileSync(path.join(base, 'postmaster.pid'), `1\n${base}\n0\n${PORT}\n${base}\n`);
  const server = net.createServer().listen(path.join(base, `.s.PGSQL.${PORT}`));
  await once(server, 'listening');
  t.after(() => {
    server.close();
    fs.rmSync(base, { recursive: true, force: true });
  });
  return base;
}

/** A process with a server's name, which works in the directory; its number. */
async function standIn(t: TestContext, options: { directory: string; uid?: number }): Promise<number> {
  const { directory, uid } = options;
  const script = `printf postgres > /proc/self/comm; echo ready; read line`;
  const child = spawn('bash', ['-c', script], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  t.after(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}
