/** What AWSEC2-CreateVssSnapshot is asked for, and what of it is refused before anything is done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@rokka/services';
import { vssRequestOf } from './vss-request.ts';

test('an image is asked for by CreateAmi with a name, and has the boot volume', () => {
  const nameOf = (inputs: JsonObject) => vssRequestOf(inputs).imageName;
  assert.equal(nameOf({}), undefined);
  assert.equal(nameOf({ CreateAmi: 'False', AmiName: '' }), undefined);
  assert.equal(nameOf({ CreateAmi: 'True', AmiName: 'nightly (1)' }), 'nightly (1)');
  assert.equal(nameOf({ CreateAmi: 'true', AmiName: 'nightly', ExcludeBootVolume: 'False' }), 'nightly');
  const rows: [JsonObject, RegExp][] = [
    [{ CreateAmi: 'True' }, /AmiName is "": AMI names must be between 3 and 128 characters/],
    [{ CreateAmi: 'True', AmiName: 'ab' }, /AmiName is "ab"/],
    [{ CreateAmi: 'True', AmiName: 'a:b' }, /AmiName is "a:b"/],
    [{ CreateAmi: 'True', AmiName: 'nightly', ExcludeBootVolume: 'True' }, /ExcludeBootVolume is False/],
    [{ AmiName: 'nightly' }, /AmiName is for CreateAmi=True alone/],
    [{ CreateAmi: 'False', AmiName: 'nightly' }, /AmiName is for CreateAmi=True alone/],
  ];
  for (const [inputs, message] of rows)
    assert.throws(() => vssRequestOf(inputs), { code: 'ROKKA_SNAPSHOT_REFUSED', message });
});
