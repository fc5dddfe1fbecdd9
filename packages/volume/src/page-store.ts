/**
 * The volume as the filesystem sees it: pages that can be read, changed atomically in groups, and waited for.
 *
 * Reads and changes are synchronous, because the filesystem runs under a synchronous engine as well (PGlite in a worker).
 * What may have to wait is asked for first: an operation that meets a page which is not in memory, or space that is not
 * mapped yet, throws NotReady BEFORE it changes anything; its driver waits (`prepare`) and runs the operation again.
 */
import type { Brand, PageNumber } from '@rokka/kernel';

/** Stands for one applied mini-transaction; later ones compare greater. */
export type Ticket = Brand<number, 'Ticket'>;

export interface PageWrite {
  readonly page: PageNumber;
  /** Bytes from the start of the page. */
  readonly offset: number;
  /** Copied before `apply` returns. */
  readonly bytes: Uint8Array;
  /** The page is all zeroes before this write, whatever it held; so it need not be in memory. */
  readonly init?: boolean;
}

/** What an operation lacks. Never leaves the drivers, and is part of their normal course: it carries no stack, which costs more than the page. */
export class NotReady extends Error {
  override name = 'NotReady';
  readonly pages: readonly PageNumber[];
  /** What will probably be lacking next: nobody waits for it, and a store need not fetch it. */
  readonly ahead: readonly PageNumber[];
  readonly mapPages: number;
  readonly room: boolean;

  constructor(lacking: {
    pages?: readonly PageNumber[];
    ahead?: readonly PageNumber[];
    mapPages?: number;
    room?: boolean;
  }) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super('not ready');
    Error.stackTraceLimit = stackTraceLimit;
    this.pages = lacking.pages ?? [];
    this.ahead = lacking.ahead ?? [];
    this.mapPages = lacking.mapPages ?? 0;
    this.room = lacking.room ?? false;
  }
}

export interface PageStore {
  /** Pages [0, mappedPages) may be written. Grows a protection group at a time. */
  readonly mappedPages: number;
  /** Most pages that the volume can ever map. */
  readonly pagesMax: number;
  /** The page as it is now, own undurable writes included. A view: neither keep it nor write to it. @throws NotReady */
  page(page: PageNumber): Uint8Array;
  /** Whether `page` would answer at once. */
  has(page: PageNumber): boolean;
  /** These will probably be read soon. Nobody waits for them, and a store need not fetch them. */
  willNeed?(pages: readonly PageNumber[]): void;
  /**
   * One mini-transaction: all of the writes or none of them survive a crash, in the order of the calls to `apply`.
   * Several writes may touch one page. Pages written without `init` must be in memory. Unchanged bytes cost nothing.
   * @throws NotReady where pages are missing or the log is too far ahead of what is durable (back-pressure)
   */
  apply(writes: readonly PageWrite[]): Ticket;
  /** The last applied mini-transaction. */
  readonly applied: Ticket;
  /** Everything up to here survives the loss of any two nodes or of one zone. */
  readonly durable: Ticket;
}

/** The waiting half, for drivers on an event loop. In a worker the same waits block the thread. */
export interface AsyncPageStore extends PageStore {
  /** Waits for what NotReady named. @throws VOLUME_FENCED, VOLUME_UNREADABLE, VOLUME_FULL */
  prepare(lacking: NotReady): Promise<void>;
  /** Resolves when `durable` reaches `ticket`. @throws VOLUME_FENCED where another writer took the volume over */
  whenDurable(ticket: Ticket): Promise<void>;
}
