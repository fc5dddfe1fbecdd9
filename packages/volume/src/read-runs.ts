/** What one READ can ask for: pages of one protection group, and not too many. Pure. */
import type { PageNumber, PgIndex } from '@rokka/kernel';
import { READ_PAGES_MAX } from '@rokka/storage';

/** The pages in their order, cut where another group begins and where a request is full. */
export function* readRuns(
  pages: readonly PageNumber[],
  pgOf: (page: PageNumber) => PgIndex,
): Iterable<readonly PageNumber[]> {
  for (let from = 0; from < pages.length;) {
    const pg = pgOf(pages[from]);
    const end = Math.min(pages.length, from + READ_PAGES_MAX);
    let to = from + 1;
    while (to < end && pgOf(pages[to]) === pg) to++;
    yield pages.slice(from, to);
    from = to;
  }
}
