/**
 * Forms of awsQuery and ec2Query: `A.member.1.B=x` is a tree, whose branches are the parts between the dots.
 *
 * Bounded, since each part of a stranger's key costs a node: `FIELDS_MAX` fields of at most `PARTS_MAX` parts.
 */
import { Failure } from '../failures.ts';
import type { WireRequest } from '../wire.ts';

const FIELDS_MAX = 20_000;
const PARTS_MAX = 32;

export const isListIndex = (name: string) => /^\d{1,9}$/.test(name);

export class FormNode {
  value: string | undefined;
  #children: Map<string, FormNode> | undefined;

  child(name: string): FormNode | undefined {
    return this.#children?.get(name);
  }

  grow(name: string): FormNode {
    this.#children ??= new Map();
    let child = this.#children.get(name);
    if (!child) this.#children.set(name, (child = new FormNode()));
    return child;
  }

  names(): readonly string[] {
    return [...(this.#children?.keys() ?? [])];
  }

  /** The children whose names are numbers, in the order of these. Gaps count for nothing, as with AWS. */
  numbered(): FormNode[] {
    return [...(this.#children ?? [])]
      .filter(([name]) => isListIndex(name))
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, child]) => child);
  }
}

/** What a signature puts into a URL is no parameter. */
const isOfSignature = (name: string) => name.startsWith('X-Amz-');

/** The fields of the body, and those of the query string: a presigned URL has all of them there. @throws Failure malformed */
export function parseForm(request: WireRequest): FormNode {
  const root = new FormNode();
  let fields = 0;
  const add = (key: string, value: string) => {
    if (++fields > FIELDS_MAX)
      throw new Failure('malformed', `the request has more than ${FIELDS_MAX} parameters`);
    const parts = key.split('.', PARTS_MAX + 1);
    if (parts.length > PARTS_MAX)
      throw new Failure('malformed', `a parameter has more than ${PARTS_MAX} parts`);
    let node = root;
    for (const part of parts) node = node.grow(part);
    node.value = value;
  };
  for (const [key, value] of request.query) if (!isOfSignature(key)) add(key, value);
  for (const [key, value] of new URLSearchParams(request.body.toString('utf8'))) add(key, value);
  return root;
}

const forms = new WeakMap<WireRequest, FormNode>();

/** Parsed once for routing and decoding. */
export function formOf(request: WireRequest): FormNode {
  let form = forms.get(request);
  if (!form) forms.set(request, (form = parseForm(request)));
  return form;
}
