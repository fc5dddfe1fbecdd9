import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { networkConformance } from './testing/network-conformance.ts';
import { unixNetwork } from './unix-network.ts';

for (const [name, below] of [
  ['unix network', ''],
  ['unix network, long path', 'a-directory-with-a-long-name-'.repeat(5)],
] as const) {
  networkConformance(name, async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-transport-'));
    return {
      network: unixNetwork({ clock: systemClock }),
      address: path.join(directory, below, 'node.sock'),
      async [Symbol.asyncDispose]() {
        fs.rmSync(directory, { recursive: true });
      },
    };
  });
}
