import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber } from '@rokka/kernel';
import { PageWriter } from './testing/page-writer.ts';
import { SixNodes } from './testing/six-nodes.ts';

test('what is durable is read back, by this writer and by the next', async () => {
  await using six = await SixNodes.start();
  const first = await six.writer();
  const pages = new PageWriter(first.volume);
  for (let i = 0; i < 100; i++) await six.run(pages.write(i % 10, `text ${i}`));
  await six.run(first.volume.whenDurable(first.volume.applied));
  assert.equal(first.volume.durable, first.volume.applied);
  const raw = await six.run(first.volume.read(asPageNumber(9)));
  assert.equal(Buffer.from(raw?.subarray(0, 7) ?? []).toString(), 'text 99');
  assert.equal(await six.run(first.volume.read(asPageNumber(50))), undefined, 'a page never written');
  six.kill(first);
  const second = await six.writer();
  assert.equal(second.volume.durable, first.volume.applied);
  const again = new PageWriter(second.volume);
  for (let page = 0; page < 10; page++) assert.equal(await six.run(again.text(page, 7)), `text ${90 + page}`);
});
