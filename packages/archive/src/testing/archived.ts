/** What tests of archives do with a history: archive it, and hold what the archive gives to what it was. */
import assert from 'node:assert/strict';
import {
  asPageNumber,
  bytesEqual,
  type Lsn,
  must,
  type PageNumber,
  settled,
  type VirtualClock,
} from '@rokka/kernel';
import type { ArchiveReader } from '../archive-reader.ts';
import type { Archiver } from '../archiver.ts';
import type { History } from './history.ts';

/** Lets the archiver work until it has everything that is durable now. */
export async function archived(
  archiver: Archiver,
  clock: VirtualClock,
  history: History,
  options: { atLeast?: boolean } = {},
): Promise<Lsn> {
  const done: Lsn[] = [];
  void archiver.flush().then((lsn) => done.push(lsn));
  for (let i = 0; i < 2_000 && done.length === 0; i++) {
    await settled();
    if (done.length === 0) clock.advanceTo(clock.nowMs() + 50);
  }
  // While pages are copied the volume of these tests goes on.
  if (!options.atLeast) assert.equal(done[0], history.durable);
  return must(done[0]);
}

export function pagesOf({ pageCount }: History): PageNumber[] {
  return Array.from({ length: pageCount }, (_, page) => asPageNumber(page));
}

export async function demandSame(reader: ArchiveReader, history: History): Promise<void> {
  const expected: number[] = [];
  const together = await Promise.all(reader.readMany(pagesOf(history)));
  for (const page of pagesOf(history)) {
    const content = history.pageAt(page, reader.lsn);
    if (content) expected.push(page);
    for (const given of [await reader.page(page), together[page]]) {
      const same = given && content ? bytesEqual(given, content) : given === content;
      assert.ok(same, `page ${page} at ${reader.lsn}`);
    }
  }
  const found: number[] = [];
  for await (const page of reader.pages()) found.push(page);
  // Of a page that came after this point there are layers, and nothing in them.
  assert.deepEqual(
    expected.filter((page) => !found.includes(page)),
    [],
  );
}
