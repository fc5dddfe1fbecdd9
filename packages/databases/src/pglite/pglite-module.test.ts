import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPgliteModule } from './pglite-module.ts';

test('a PGlite that lacks a private export is named, with what it lacks', () => {
  assert.throws(
    () => checkPgliteModule({ FS: {}, HEAPU8: new Uint8Array(1) }, '9.9.9'),
    (error: Error) => {
      assert.match(
        error.message,
        /9\.9\.9 lacks .*_PostgresMainLoopOnce.*FS\.createNode.*_QueryCancelPending/,
      );
      assert.equal((error as { code?: string }).code, 'DATABASE_PGLITE_CHANGED');
      return true;
    },
  );
});
