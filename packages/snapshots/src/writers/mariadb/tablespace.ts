/**
 * What a server has to be told of InnoDB's system tablespace, because it does not start where that is another than it was made: the size of pages,
 * and the files where they are several. Both stand in the files themselves.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';

const FIRST_FILE = 'ibdata1';
const USUAL_PAGE_BYTES = 16_384;
const FILES_MAX = 1_000;
/** In the first page: FIL_PAGE_DATA + FSP_SPACE_FLAGS (fsp0types.h). */
const FLAGS_AT = 54;
const HEADER_BYTES = FLAGS_AT + 4;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** @param home the directory of its files */
export async function tablespaceSettings(home: string): Promise<string[]> {
  const pageBytes = pageBytesOf(await headerOf(path.join(home, FIRST_FILE)));
  const sizes: number[] = [];
  for (let at = 1; at <= FILES_MAX; at++) {
    const status = await fs.lstat(path.join(home, `ibdata${at}`)).catch(() => undefined);
    if (!status?.isFile()) break;
    sizes.push(status.size);
  }
  return [
    ...(pageBytes === USUAL_PAGE_BYTES ? [] : [`--innodb-page-size=${pageBytes}`]),
    ...(sizes.length < 2 ? [] : [`--innodb-data-file-path=${dataFilePath(sizes)}`]),
  ];
}

async function headerOf(file: string): Promise<Buffer> {
  await using handle = await fs.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

/** Of a file that says nothing that makes sense, the usual; the server says what is wrong with it. */
export function pageBytesOf(header: Buffer): number {
  if (header.length < HEADER_BYTES) return USUAL_PAGE_BYTES;
  const flags = header.readUInt32BE(FLAGS_AT);
  // Since 10.5 a bit says that pages end with a checksum of all of them, and then the size stands first.
  const shift = (flags & 0x10) === 0 ? (flags >>> 6) & 0xf : flags & 0xf;
  return shift >= 3 && shift <= 7 ? 512 << shift : USUAL_PAGE_BYTES;
}

/** The last one may have grown. */
export function dataFilePath(sizes: readonly number[]): string {
  const files = sizes.map((bytes, at) => `ibdata${at + 1}:${bytes}`);
  return `${files.join(';')}:autoextend`;
}
