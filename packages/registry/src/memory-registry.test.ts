import { MemoryRegistry } from './memory-registry.ts';
import { registryConformance } from './testing/registry-conformance.ts';

registryConformance('memory registry', async () => {
  const state = new MemoryRegistry();
  return { open: async () => state.another(), async [Symbol.asyncDispose]() {} };
});
