/**
 * Small files that whoever owns a volume has written, read by a process that may be root: what has the name may be a pipe that never
 * ends, a device that acts when it is opened, or a link to a file that is not his.
 */
import * as fs from 'node:fs/promises';

const BYTES_MAX = 4_096;
const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = fs.constants;

/** Its first bytes; undefined where it is no regular file. @throws the system's error where it is not there or may not be read */
export async function readPlainFile(file: string): Promise<string | undefined> {
  if (!(await fs.lstat(file)).isFile()) return undefined;
  // It may have been replaced since, and this must neither wait nor follow then.
  await using handle = await fs.open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  if (!(await handle.stat()).isFile()) return undefined;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(BYTES_MAX), 0, BYTES_MAX, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
