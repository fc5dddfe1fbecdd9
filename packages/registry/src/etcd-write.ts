/**
 * One compare-and-set against etcd, as a pure machine: what has come back goes in, the next request or the outcome comes
 * out. Its question is what to make of a request whose answer was lost. Such a request may have taken effect, may never,
 * or may still: it can lie in a socket or in a member that stands still, and be carried out after any number of retries.
 *
 * What is relied on (etcd.io/docs/v3.4/learning/api, api_guarantees): a transaction is atomic; reads are linearizable; a
 * key's mod_revision grows with each write of it. And by us: a key, once written, is never deleted. Removing is writing
 * `gone` over it, because a deleted key is back at mod_revision 0, and a late "create it if it is not there" would raise
 * the dead. So a key never comes back to a revision that it has left.
 *
 * All attempts of one write are the same transaction: if the key is at revision `base`, where somebody has seen it, put
 * this value with this write id; if not, read it.
 * 1. At most one of them takes effect. The one that does moves the key above `base` for ever, and the others, whenever
 *    they are carried out, find it there.
 * 2. If one took effect, its version follows directly after `base` in the history of the key, and carries our id. Nobody
 *    else draws that id. So whoever finds a version above `base` knows all by walking back to `base`: our id on the way
 *    means success, at the revision where it stands, even if others have written over it since. Its absence means that
 *    none took effect and, by 1, that none ever will: a conflict that is true and stays true.
 * 3. If the key is still at `base`, nothing took effect so far. Asking again is safe, by 1, and the repeated
 *    transaction is itself the read that tells: no other is needed.
 * 4. Where time runs out first, or the history was compacted away, the outcome is unknown and is said to be. A late
 *    attempt may then still take effect, but only on the revision it names: whoever writes that key next moves it on.
 *
 * A refusal leaves as much doubt as a lost answer: with its space used up, etcd carries a transaction out and then answers
 * "database space exceeded" (apply.go, quotaApplierV3). So the key is looked at before a refusal is passed on.
 *
 * A key that is absent has never been written, revision 0, or stands there as `gone`. A write that expects "absent" and
 * finds `gone` begins again on that revision, once it is sure that nothing of its own lies before it.
 */
import { assert } from '@rokka/kernel';
import type { Version } from './etcd-entry.ts';

export type WriteStep =
  /** Send the transaction that compares with `base`. */
  | { do: 'write'; base: number }
  /** Read the key: as it is now, or as it was at revision `at`. */
  | { do: 'look'; at?: number }
  | { do: 'succeed'; revision: number }
  /** `found` is 0 where the key is absent. */
  | { do: 'conflict'; found: number }
  /** An earlier attempt, of which nothing was heard, may still come through: `inDoubt`. */
  | { do: 'refuse'; refusal: string; inDoubt: boolean }
  | { do: 'give up' };

export class EtcdWrite {
  readonly #id: string;
  readonly #expected: number;
  #base: number;
  /** An attempt on `base` has had no answer. */
  #lost = false;
  #refusal: string | undefined;
  /** The newest version seen, while its past is looked through. */
  #newest: Version | undefined;

  constructor(options: { id: string; expected: number }) {
    this.#id = options.id;
    this.#expected = options.expected;
    this.#base = options.expected;
  }

  /** Whether an attempt may have taken effect, or may yet. */
  get inDoubt(): boolean {
    return this.#lost || this.#refusal !== undefined;
  }

  first(): WriteStep {
    return { do: 'write', base: this.#base };
  }

  /** etcd says that the transaction took effect. */
  onWritten(revision: number): WriteStep {
    // An answer that cannot be is no answer.
    if (revision <= this.#base) return this.onLost(true);
    return { do: 'succeed', revision };
  }

  /** No answer to the transaction. `sent` is false only where it cannot have reached etcd. */
  onLost(sent: boolean): WriteStep {
    if (sent) this.#lost = true;
    return { do: 'write', base: this.#base };
  }

  onRefused(refusal: string): WriteStep {
    this.#refusal = refusal;
    return { do: 'look' };
  }

  /** The key as it is now: from the transaction that did not compare equal, or from a look. */
  onFound(found: Version | undefined): WriteStep {
    if (found?.id === this.#id) return { do: 'succeed', revision: found.revision };
    const revision = found?.revision ?? 0;
    if (revision === this.#base && !this.#expectsLive(found)) return this.#again();
    if (!found || revision <= this.#base)
      return { do: 'conflict', found: found?.text === undefined ? 0 : revision };
    this.#newest = found;
    return this.inDoubt ? { do: 'look', at: revision - 1 } : this.#begin(found);
  }

  /** The key as it was before the version asked about last. */
  onPast(found: Version | undefined): WriteStep {
    assert(this.#newest, 'the past of a version');
    if (found?.id === this.#id) return { do: 'succeed', revision: found.revision };
    if (found && found.revision > this.#base) return { do: 'look', at: found.revision - 1 };
    return this.#begin(this.#newest);
  }

  /** The history that would tell is gone. */
  onCompacted(): WriteStep {
    return { do: 'give up' };
  }

  /** The revision is the expected one, but that of a removal: nobody was given it as a revision of an entry. */
  #expectsLive(found: Version | undefined): boolean {
    return this.#expected > 0 && found?.text === undefined;
  }

  /** Nothing of ours took effect or will: a write that wants the key absent may begin on a removal. */
  #begin(newest: Version): WriteStep {
    this.#lost = false;
    this.#newest = undefined;
    if (newest.text !== undefined) return { do: 'conflict', found: newest.revision };
    if (this.#expected > 0) return { do: 'conflict', found: 0 };
    this.#base = newest.revision;
    return this.#again();
  }

  #again(): WriteStep {
    if (this.#refusal !== undefined) return { do: 'refuse', refusal: this.#refusal, inDoubt: this.#lost };
    return { do: 'write', base: this.#base };
  }
}
