/**
 * Files that hold keys: for their owner alone from their first moment, and replaced as a whole. After a crash there is
 * the old content or the new one, never a part. Several processes may write the same file at once: each writes beside it under a
 * name of its own, and the last one to be done stays. A machine that dies meanwhile leaves that one beside it, for the same owner.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { isCoded, systemRandom } from '@rokka/kernel';
import { trustErrors } from './errors.ts';

const FILE_BYTES_MAX = 1024 * 1024;

/** Durable when it returns. @throws TRUST_FILE_EXISTS where it must be new and is not, TRUST_FILE_FAILED */
export function writeOwnerFile(filePath: string, text: string, options: { mustBeNew?: boolean } = {}): void {
  const temporary = `${filePath}.${systemRandom.hex(8)}.new`;
  failingWith(filePath, () => {
    fs.mkdirSync(path.dirname(filePath), { recursive: true, mode: 0o700 });
    try {
      withFile(temporary, 'wx', (fd) => {
        fs.writeFileSync(fd, text);
        fs.fsyncSync(fd);
      });
      // A link, unlike a rename, fails where something is there.
      if (options.mustBeNew) fs.linkSync(temporary, filePath);
      else fs.renameSync(temporary, filePath);
    } finally {
      fs.rmSync(temporary, { force: true });
    }
    withFile(path.dirname(filePath), 'r', (fd) => fs.fsyncSync(fd));
  });
}

/** @throws TRUST_FILE_MISSING, TRUST_FILE_OPEN where others may read it, TRUST_FILE_FAILED */
export function readOwnerFile(filePath: string): string {
  return failingWith(filePath, () =>
    withFile(filePath, 'r', (fd) => {
      const { mode, size } = fs.fstatSync(fd);
      if ((mode & 0o077) !== 0)
        throw trustErrors.TRUST_FILE_OPEN([filePath, (mode & 0o777).toString(8).padStart(4, '0')]);
      if (size > FILE_BYTES_MAX) throw trustErrors.TRUST_FILE_UNREADABLE([filePath, `it has ${size} bytes`]);
      return fs.readFileSync(fd, 'utf8');
    }),
  );
}

function withFile<T>(filePath: string, flags: string, work: (fd: number) => T): T {
  const fd = fs.openSync(filePath, flags, 0o600);
  try {
    return work(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function failingWith<T>(filePath: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isCoded(error)) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === 'ENOENT') throw trustErrors.TRUST_FILE_MISSING([filePath], { cause: error });
    if (code === 'EEXIST') throw trustErrors.TRUST_FILE_EXISTS([filePath], { cause: error });
    throw trustErrors.TRUST_FILE_FAILED([filePath, code], { cause: error });
  }
}
