/** Views of memory that lie side by side in it are one view: fewer pieces for the system to take. */
export function joinNeighbours(views: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (let first = 0; first < views.length;) {
    const start = views[first];
    let bytes = start.length;
    let next = first + 1;
    for (; next < views.length; next++) {
      const view = views[next];
      if (view.buffer !== start.buffer || view.byteOffset !== start.byteOffset + bytes) break;
      bytes += view.length;
    }
    const isAlone = next === first + 1;
    joined.push(isAlone ? start : new Uint8Array(start.buffer, start.byteOffset, bytes));
    first = next;
  }
  return joined;
}

/** What is left of the views, one after the other, behind their first `bytes`. */
export function viewsAfter(views: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = bytes;
  for (const view of views) {
    if (skip < view.length) left.push(skip > 0 ? view.subarray(skip) : view);
    skip = Math.max(0, skip - view.length);
  }
  return left;
}
