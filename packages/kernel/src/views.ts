/** Views of memory that lie side by side in it are one view: fewer pieces for the system to take. */
export function joinNeighbours(views: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (const view of views) {
    const last = joined.at(-1);
    const follows = last?.buffer === view.buffer && last.byteOffset + last.length === view.byteOffset;
    if (last && follows)
      joined[joined.length - 1] = new Uint8Array(view.buffer, last.byteOffset, last.length + view.length);
    else joined.push(view);
  }
  return joined;
}
