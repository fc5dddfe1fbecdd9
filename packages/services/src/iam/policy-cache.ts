/**
 * Policies that were compiled once. By their text: a policy that was changed has another text, so nothing here is ever
 * out of date.
 */
import { BoundedCache } from '../bounded-cache.ts';
import { type CompiledPolicy, compilePolicy, type PolicyKind } from './policy/policy-document.ts';

const COMPILED_MAX = 2_000;

export class PolicyCache {
  readonly #compiled = {
    identity: new BoundedCache<string, CompiledPolicy>(COMPILED_MAX),
    trust: new BoundedCache<string, CompiledPolicy>(COMPILED_MAX),
  };

  /** @throws PolicyProblem */
  compile(text: string, kind: PolicyKind = 'identity'): CompiledPolicy {
    const cache = this.#compiled[kind];
    const found = cache.get(text);
    if (found) return found;
    const compiled = compilePolicy(text, kind);
    cache.set(text, compiled);
    return compiled;
  }
}
