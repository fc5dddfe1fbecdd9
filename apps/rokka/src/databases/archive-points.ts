/** What the API asks of the archive: which times a volume can be restored to. */
import { type ObjectStore, pointAt, spanOf } from '@rokka/archive';
import { deadline } from '@rokka/kernel';
import type { ArchivePoints } from '@rokka/services';

/** Answers that tell more than times do not wait longer for a store that is away. */
const SPAN_MS = 3_000;

export function archivePoints(store: ObjectStore): ArchivePoints {
  return {
    span: async (volume) => {
      const span = await deadline(spanOf(store, volume), { what: 'the archive', ms: SPAN_MS });
      return span && { firstMs: span.first.atMs, lastMs: span.last.atMs };
    },
    at: (volume, atMs) => pointAt(store, volume, atMs),
  };
}
