/**
 * I12: a page that a node serves is the page that the log gives as of the read point, byte for byte, and a client sees in
 * its cache what its own writer has made of it.
 */
import { bytesEqual, PAGE_SIZE, type Epoch, type Lsn, type PageNumber } from '@rokka/kernel';
import { demand } from '../broken-invariant.ts';
import type { Listeners } from '../event-log.ts';
import type { History } from './history.ts';

const ZEROES = new Uint8Array(PAGE_SIZE);

export class ReadOracle {
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  readonly listeners: Listeners = {
    'read-answer': ({ node, epoch, page, readPoint, pageLsn, content }) => {
      const expected = this.#history.branch(epoch).page(page, readPoint);
      demand(pageLsn === expected.lsn, 'I12', () => {
        return `${node} serves page ${page} at ${readPoint} as of ${pageLsn}, its last record is ${expected.lsn}`;
      });
      const bytes = content.length === 0 ? ZEROES : content;
      this.#demandSame(bytes, { who: node, epoch, page, lsn: readPoint });
    },
    seen: ({ writer, epoch, page, applied, content }) =>
      this.#demandSame(content, { who: writer, epoch, page, lsn: applied }),
  };

  #demandSame(content: Uint8Array, of: { who: string; epoch: Epoch; page: PageNumber; lsn: Lsn }): void {
    const expected = this.#history.branch(of.epoch).page(of.page, of.lsn).content ?? ZEROES;
    demand(bytesEqual(content, expected), 'I12', () => {
      const at = content.findIndex((byte, index) => byte !== expected[index]);
      return `${of.who} has page ${of.page} as of ${of.lsn} with other bytes than the log gives, from byte ${at} on`;
    });
  }
}
