/** A file's times: whole seconds since 1970, which may be negative, and nanoseconds in [0, 1e9). */
import { assert } from '@rokka/kernel';

export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export function fileTimeFromMs(ms: number): FileTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.floor((ms - seconds * 1000) * 1e6) };
}

export function fileTimeToMs(time: FileTime): number {
  return time.seconds * 1000 + time.nanoseconds / 1e6;
}

export function assertFileTime(time: FileTime): void {
  const { seconds, nanoseconds } = time;
  assert(
    Number.isSafeInteger(seconds) && Number.isInteger(nanoseconds) && nanoseconds >= 0 && nanoseconds < 1e9,
    () => `not a file time: ${seconds} s, ${nanoseconds} ns`,
  );
}
