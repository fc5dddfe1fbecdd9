/** PGlite in the head: the engine in a worker thread, its pages over shared memory, the wire proxy here. */
import { CodedError } from '@rokka/kernel';
import type { Engine, EngineStart } from './engine.ts';

export async function startPgliteEngine(_start: EngineStart): Promise<Engine> {
  throw new CodedError(
    'ROKKA_NO_PGLITE',
    'the pglite engine is not built into this version; use --engine native',
  );
}
