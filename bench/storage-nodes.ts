/** Six storage nodes as the supervisor runs them, without a supervisor: for what is measured below a database. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import * as path from 'node:path';
import type { NodeId, Zone } from '@rokka/kernel';
import type { NodeProcessOptions } from '../apps/rokka/src/processes/node-process.ts';
import { hasEnded } from './system.ts';

const NODE_PROCESS = path.resolve(import.meta.dirname, '../apps/rokka/src/processes/node-process.ts');

export interface StorageNodes extends AsyncDisposable {
  readonly list: readonly { node: NodeId; zone: Zone }[];
  readonly sockets: string;
  /** Each with its own data below it. */
  readonly directory: string;
}

/** Six node processes on unix sockets, two in each of three zones. They end when it is disposed. */
export async function startNodes(directory: string): Promise<StorageNodes> {
  const sockets = path.join(directory, 'run');
  mkdirSync(sockets, { recursive: true, mode: 0o700 });
  const list = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, index) => ({
    node: `node-${index + 1}` as NodeId,
    zone: zone as Zone,
  }));
  const children = list.map(({ node, zone }) => {
    const options: NodeProcessOptions = {
      cluster: 'bench',
      node,
      zone,
      directory: path.join(directory, 'nodes', node),
      socketDirectory: sockets,
      address: node,
      made: false,
    };
    return spawn(process.execPath, [NODE_PROCESS, JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  });
  const end = async () => void (await Promise.all(children.map(ended)));
  try {
    await Promise.all(children.map(ready));
  } catch (error) {
    await end();
    throw error;
  }
  return { list, sockets, directory: path.join(directory, 'nodes'), [Symbol.asyncDispose]: end };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: { kind: string }) => message.kind === 'ready' && resolve());
    child.once('exit', (code) => reject(new Error(`a storage node ended with status ${code}`)));
  });
}

/** It ends by itself when it loses its parent. */
async function ended(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  if (child.connected) child.disconnect();
  await exit;
}
