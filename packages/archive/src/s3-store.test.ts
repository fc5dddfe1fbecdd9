/** What an S3 endpoint does that is not well, or not there; and what a request carries. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { CodedError, crc32, Deferred, systemClock } from '@rokka/kernel';
import { S3Store, type S3StoreOptions } from './s3-store.ts';
import { BUCKET, refuse, S3Server } from './testing/s3-server.ts';

const timeout = 60_000;
const CONTENT = Buffer.from('Schneekristall');
const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'never-told' };

function storeAt(endpoint: string, options: Partial<S3StoreOptions> = {}): S3Store {
  const at = { bucket: BUCKET, prefix: 'p/', region: 'eu-north-1', endpoint, clock: systemClock };
  return new S3Store({ ...at, credentials: async () => KEYS, timeoutMs: 5_000, ...options });
}

/** A server that has one object, and a store on it. */
async function withObject(
  work: (of: { server: S3Server; store: S3Store }) => Promise<void>,
  options: Partial<S3StoreOptions> = {},
): Promise<void> {
  await using server = await S3Server.start();
  await storeAt(server.endpoint).put('one', [CONTENT]);
  server.seen.length = 0;
  await work({ server, store: storeAt(server.endpoint, options) });
}

/** Answers the first so many requests itself. */
function first(count: number, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  let left = count;
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (left-- <= 0) return false;
    answer(request, response);
    return true;
  };
}

/** What the store says of it: one line, and nothing that is secret. */
async function failure(work: Promise<unknown>): Promise<CodedError> {
  const error = await work.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason as CodedError,
  );
  assert.equal(error.code, 'ARCHIVE_STORE_FAILED', error.message);
  assert.doesNotMatch(error.message, /never-told|\n/);
  return error;
}

const all = (store: S3Store) => [
  () => store.put('one', [CONTENT]),
  () => store.read('one', 0, 3),
  () => store.list(''),
  () => store.remove('two'),
];

describe('a server that has bad moments', { timeout }, () => {
  test('503 and then 200: nobody notices', () =>
    withObject(async ({ server, store }) => {
      for (const ask of all(store)) {
        server.mischief = first(2, (_, response) =>
          refuse(response, { status: 503, code: 'ServiceUnavailable' }),
        );
        await ask();
      }
      assert.deepEqual(await store.list(''), [{ key: 'one', sizeBytes: CONTENT.length }]);
      assert.deepEqual(Buffer.from(await store.read('one', 0, CONTENT.length)), CONTENT);
    }));

  test('503 for ever: so many attempts, and no more', () =>
    withObject(async ({ server, store }) => {
      server.mischief = first(Infinity, (_, response) =>
        refuse(response, { status: 503, code: 'ServiceUnavailable' }),
      );
      for (const ask of all(store)) {
        server.seen.length = 0;
        const { message } = await failure(ask());
        assert.match(message, /s3:\/\/bucket\/p\/.* cannot just now \(503 ServiceUnavailable\)/);
        assert.equal(server.seen.length, 3);
      }
    }));

  test('an answer that breaks off is asked for again', () =>
    withObject(async ({ server, store }) => {
      const breaksOff = (_: IncomingMessage, response: ServerResponse) => {
        response.writeHead(206, {
          'content-length': CONTENT.length,
          'content-range': `bytes 0-${CONTENT.length - 1}/${CONTENT.length}`,
        });
        response.write(CONTENT.subarray(0, 5), () => response.destroy());
      };
      server.mischief = first(2, breaksOff);
      assert.deepEqual(Buffer.from(await store.read('one', 0, CONTENT.length)), CONTENT);
      server.mischief = first(Infinity, breaksOff);
      // A line that breaks is no damage.
      await failure(store.read('one', 0, CONTENT.length));
    }));

  test('no answer, and an answer that stands still: over at the deadline', () =>
    withObject(
      async ({ server, store }) => {
        server.mischief = first(Infinity, () => {});
        for (const ask of all(store)) {
          const { message } = await failure(ask());
          assert.match(message, /has not answered within 30\d ms/);
        }
        const standsStill = (_: IncomingMessage, response: ServerResponse) => {
          response.writeHead(206, { 'content-length': 3, 'content-range': 'bytes 0-2/3' });
          response.write('x');
        };
        server.mischief = first(Infinity, standsStill);
        assert.match(
          (await failure(store.read('one', 0, 3))).message,
          /has not answered within|cannot be reached/,
        );
        server.mischief = first(1, standsStill);
        assert.equal(Buffer.from(await store.read('one', 0, 3)).toString(), 'Sch');
        // One that comes, byte by byte, and is never whole.
        server.mischief = first(Infinity, (_, response) => {
          response.writeHead(206, { 'content-length': 2 ** 20, 'content-range': 'bytes 0-1048575/1048576' });
          const drip = () => response.write('x') && systemClock.after(50, drip);
          drip();
        });
        assert.match(
          (await failure(store.read('one', 0, 3))).message,
          /has not answered within|cannot be reached/,
        );
      },
      { timeoutMs: 300 },
    ));

  test('one that is closed waits for no answer', () =>
    withObject(async ({ server, store }) => {
      const asked = new Deferred<void>();
      server.mischief = first(Infinity, () => asked.resolve());
      const failed = failure(store.read('one', 0, 3));
      await asked.promise;
      store[Symbol.dispose]();
      await failed;
      assert.equal(server.seen.length, 1);
    }));

  test('nobody there, then somebody', () =>
    withObject(async ({ server, store }) => {
      await server.close();
      const { message } = await failure(store.read('one', 0, 3));
      assert.match(message, /http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)/);
      await server.listen();
      assert.equal(Buffer.from(await store.read('one', 0, 3)).toString(), 'Sch');
    }));
});

describe('a server that refuses', { timeout }, () => {
  const refusals: [string, Parameters<typeof refuse>[1], RegExp][] = [
    [
      'who may not',
      { status: 403, code: 'AccessDenied' },
      /denied: .*s3:PutObject.* bucket\/p\/\*.*ListBucket/,
    ],
    ['who may not, in words of its own', { status: 403, code: 'Nope' }, /access is denied.*\(Nope\)/],
    [
      'a key that it does not know',
      { status: 403, code: 'InvalidAccessKeyId' },
      /does not know the access key/,
    ],
    ['a wrong secret', { status: 403, code: 'SignatureDoesNotMatch' }, /secret key does not belong/],
    ['a token that is over', { status: 400, code: 'ExpiredToken' }, /session token has expired/],
    [
      'a bucket that it does not have',
      { status: 404, code: 'NoSuchBucket' },
      /no bucket bucket at http:.*make it/,
    ],
    ['a clock that is wrong', { status: 403, code: 'RequestTimeTooSkewed' }, /15 minutes apart: set it/],
    [
      'another region',
      { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'sa-east-1' } },
      /in region sa-east-1, not in eu-north-1/,
    ],
    [
      'another region, in another way',
      {
        status: 400,
        code: 'AuthorizationHeaderMalformed',
        message: "the region is wrong; expecting 'us-west-2'",
      },
      /in region us-west-2, not in eu-north-1/,
    ],
    [
      'what it has no code for',
      { status: 400, code: 'Odd', message: 'because\n\n I say so' },
      /because I say so \(400 Odd\)/,
    ],
  ];
  for (const [name, answer, words] of refusals)
    test(name, () =>
      withObject(async ({ server, store }) => {
        server.mischief = first(Infinity, (_, response) => refuse(response, answer));
        for (const ask of all(store)) {
          const { message } = await failure(ask());
          assert.match(message, words);
        }
      }),
    );

  test('an answer that is not what was asked for is not taken for it', () =>
    withObject(async ({ server, store }) => {
      const wrong: [Record<string, string>, string][] = [
        [{}, CONTENT.toString()],
        [{ 'content-range': 'bytes 0-3/14' }, 'Schn'],
        [{ 'content-range': 'bytes 2-13/14' }, 'hneekristall'],
      ];
      for (const [headers, body] of wrong) {
        server.mischief = first(Infinity, (_, response) => response.writeHead(206, headers).end(body));
        assert.match((await failure(store.read('one', 2, 4))).message, /another range/);
      }
    }));

  test('a listing that goes on nowhere is none', () =>
    withObject(async ({ server, store }) => {
      server.mischief = first(Infinity, (_, response) =>
        response.end('<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>'),
      );
      assert.match((await failure(store.list(''))).message, /there is more, and not where/);
    }));

  test('more than one PUT may have is refused before it is sent', () =>
    withObject(async ({ server, store }) => {
      const part = Buffer.alloc(2 ** 30);
      const { message } = await failure(store.put('huge', [part, part, part, part, part, part]));
      assert.match(message, /write s3:\/\/bucket\/p\/huge: 6442450944 bytes/);
      assert.deepEqual(server.seen, []);
    }));
});

describe('what a request carries', { timeout }, () => {
  test('the sums of its body: one that is signed, and one that is kept with it', () =>
    withObject(async ({ server, store }) => {
      const heads: IncomingMessage['headers'][] = [];
      server.mischief = ({ headers }) => heads.push(headers) < 0;
      await store.put('two', [CONTENT.subarray(0, 4), CONTENT.subarray(4)]);
      const [head] = heads;
      assert.equal(head['x-amz-content-sha256'], createHash('sha256').update(CONTENT).digest('hex'));
      assert.match(head.authorization ?? '', /SignedHeaders=[^,]*x-amz-content-sha256/);
      const sum = Buffer.alloc(4);
      sum.writeUInt32BE(crc32(CONTENT));
      assert.equal(head['x-amz-checksum-crc32'], sum.toString('base64'));
    }));

  test('keys that are lent, and the bucket in the path', () =>
    withObject(
      async ({ server, store }) => {
        const tokens: unknown[] = [];
        server.mischief = ({ headers }) => tokens.push(headers['x-amz-security-token']) < 0;
        await store.put('two', [CONTENT]);
        assert.deepEqual(tokens, ['lent']);
        assert.match(server.seen.join(), /^PUT \/bucket\/p\/two\b/);
      },
      { credentials: async () => ({ ...KEYS, sessionToken: 'lent' }) },
    ));

  test('keys that cannot be had are told as whoever has them tells it', () =>
    withObject(({ store }) => assert.rejects(store.list(''), { code: 'NO_KEYS', message: 'no keys today' }), {
      credentials: () => Promise.reject(new CodedError('NO_KEYS', 'no keys today')),
    }));
});
