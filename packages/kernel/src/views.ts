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
