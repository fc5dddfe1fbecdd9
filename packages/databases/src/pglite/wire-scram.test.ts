import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import { SeededRandom } from '@rokka/kernel';
import { makeScramVerifier, ScramServer } from './wire-scram.ts';

const random = new SeededRandom(1);

test('the exchange of RFC 7677, section 3', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  const verifier = makeScramVerifier('pencil', random, { salt, iterations: 4096 });
  const server = new ScramServer(verifier, random, '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0');
  assert.equal(
    server.first('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'),
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  );
  assert.equal(
    server.final(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    ),
    'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  );
});

test('only the right password passes, and only with its own nonce and header', () => {
  const verifier = makeScramVerifier('secret', random, { iterations: 16 });
  const attempt = (
    password: string,
    change: (final: string) => string = (final) => final,
    header = 'n,,',
  ) => {
    const server = new ScramServer(verifier, random);
    const bare = 'n=,r=clientnonce';
    const first = server.first(header + bare);
    return first === undefined
      ? undefined
      : server.final(change(clientFinal(password, { bare, header, first })));
  };
  assert.match(attempt('secret') ?? '', /^v=/);
  assert.match(attempt('secret', undefined, 'y,,') ?? '', /^v=/);
  assert.equal(attempt('wrong'), undefined);
  assert.equal(attempt('secret', undefined, 'p=tls-unique,,'), undefined);
  assert.equal(
    attempt('secret', (final) => final.replace('c=biws', 'c=eSws')),
    undefined,
  );
  assert.equal(
    attempt('secret', (final) => final.replace('r=clientnonce', 'r=clientnoncf')),
    undefined,
  );
  assert.equal(
    attempt('secret', () => 'nonsense'),
    undefined,
  );
  assert.equal(new ScramServer(verifier, random).final('c=biws,r=,p=AAAA'), undefined);
});

function clientFinal(password: string, exchange: { bare: string; header: string; first: string }): string {
  const [, nonce, salt, iterations] = /^r=(.*),s=(.*),i=(\d+)$/.exec(exchange.first) ?? [];
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const without = `c=${Buffer.from(exchange.header).toString('base64')},r=${nonce}`;
  const stored = createHash('sha256').update(clientKey).digest();
  const signature = hmac(stored, `${exchange.bare},${exchange.first},${without}`);
  return `${without},p=${Buffer.from(clientKey.map((byte, i) => byte ^ signature[i])).toString('base64')}`;
}
