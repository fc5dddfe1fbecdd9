/** A network whose addresses are names in one directory: what nodes tell each other stays true when the directory moves. */
import * as path from 'node:path';
import type { Network } from '@rokka/transport';

export function relativeNetwork(directory: string, network: Network): Network {
  return {
    listen: (address, handler) => network.listen(path.join(directory, address), handler),
    connect: (address, handler, options) => network.connect(path.join(directory, address), handler, options),
  };
}
