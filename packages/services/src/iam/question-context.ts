/** What policies may ask: of the request what the gateway says, of the caller what the registry says. */
import { contextValues, type ContextValues } from './policy/context-values.ts';

type Keys = Readonly<Record<string, string | readonly string[]>>;

/** Beside all that begin with `aws:principal`: what a request cannot claim of its caller. */
const OF_CALLER = new Set([
  'aws:userid',
  'aws:username',
  'aws:sourceidentity',
  'aws:tokenissuetime',
  'aws:multifactorauthpresent',
  'aws:multifactorauthage',
]);

/** Names are told apart without regard to case, so that no spelling of one gets past the one that counts. */
export function questionContext(ofRequest: Keys, ofCaller: Keys): ContextValues {
  const claimed = [...contextValues(ofRequest)].filter(
    ([key]) => !key.startsWith('aws:principal') && !OF_CALLER.has(key),
  );
  return new Map([...claimed, ...contextValues(ofCaller)]);
}
