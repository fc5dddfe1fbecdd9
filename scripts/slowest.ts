/** A reporter of node:test: which files took longest. What a whole run takes is theirs. */
import type { TestEvent } from 'node:test/reporters';

const SHOWN = 15;

export default async function* slowest(events: AsyncIterable<TestEvent>): AsyncIterable<string> {
  const files: { file: string; seconds: number }[] = [];
  for await (const { type, data } of events)
    if (type === 'test:summary' && data.file !== undefined)
      files.push({ file: data.file, seconds: data.duration_ms / 1000 });
  files.sort((a, b) => b.seconds - a.seconds);
  for (const { file, seconds } of files.slice(0, SHOWN))
    yield `${seconds.toFixed(0).padStart(6)} s  ${file}\n`;
}
