/** What the API asks of the archive: which times a volume can be restored to. */
import { type ObjectStore, pointAt, spanOf } from '@rokka/archive';
import type { ArchivePoints } from '@rokka/services';

export function archivePoints(store: ObjectStore): ArchivePoints {
  return {
    span: async (volume) => {
      const span = await spanOf(store, volume);
      return span && { firstMs: span.first.atMs, lastMs: span.last.atMs };
    },
    at: (volume, atMs) => pointAt(store, volume, atMs),
  };
}
