/** What a server of our own leaves behind, and with whose rights it is taken away. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { PrivateServer } from './private-server.ts';

const LIMITS = {
  skip: process.getuid?.() === 0 ? false : 'root is needed, to start as somebody else',
  timeout: 300_000,
};
const NOBODY = 65_534;

test(
  'its directory goes with it, by the rights of its account and not by those of root',
  LIMITS,
  async () => {
    const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-private-'));
    const made: string[] = [];
    const account = { uid: NOBODY, gid: NOBODY };
    try {
      for (const isRoots of [false, true]) {
        const server = await PrivateServer.start({
          what: 'a shell',
          account,
          files: { settings: 'x' },
          command: () => ['sh', '-c', 'echo ready; exec sleep 200'],
          ready: /ready/,
          signal: AbortSignal.timeout(120_000),
        });
        const { directory } = server;
        made.push(directory);
        const inner = path.join(directory, 'inner');
        fs.mkdirSync(inner);
        fs.writeFileSync(path.join(inner, 'file'), '');
        if (!isRoots) fs.chownSync(inner, NOBODY, NOBODY);
        fs.symlinkSync(elsewhere, path.join(directory, 'link'));
        await server[Symbol.asyncDispose]();
        assert.equal(fs.existsSync(directory), isRoots, 'what only root may delete stays');
        assert.ok(fs.existsSync(elsewhere));
      }
    } finally {
      for (const directory of [...made, elsewhere]) fs.rmSync(directory, { recursive: true, force: true });
    }
  },
);
