import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyTraits, traitsOf } from './statement-traits.ts';

test('refusals', () => {
  const cases: [string, string | undefined][] = [
    ['listen x', 'listen'],
    ['select 1; listen x', 'listen'],
    ["select 'listen'", undefined],
    ['select listen from t', undefined],
    ['create database d', 'database'],
    ['create table database (a int)', undefined],
    ["create tablespace t location 'x'", 'tablespace'],
    ["copy t from '/x'", 'server_file'],
    ["copy t (a, b) to program 'x'", 'server_file'],
    ['copy t from stdin', undefined],
    ['copy (select a from b) to stdout with (format csv)', undefined],
    ['set standard_conforming_strings to off', 'strings'],
    ["select set_config('standard_conforming_strings', 'off', false)", 'strings'],
    ['set standard_conforming_strings to on', undefined],
    ['create function f() returns void language sql as $$ select pg_advisory_lock(1) $$', 'lock_in_function'],
    [
      'create or replace function f() returns void language plpgsql as $$ begin create temp table t (a int); end $$',
      'temporary_in_function',
    ],
    ['create function f() returns void language sql as $$ select pg_advisory_xact_lock(1) $$', undefined],
    ['create function f() returns void as $$ begin execute 1; listen x; end $$ language plpgsql', 'listen'],
    ['do $$ begin listen x; end $$', 'listen'],
  ];
  for (const [sql, refuses] of cases) assert.equal(traitsOf(sql).refuses, refuses, sql);
});

test('pins', () => {
  const pinning = [
    'create temp table t (a int)',
    'CREATE LOCAL TEMPORARY TABLE t (a int) on commit delete rows',
    'create or replace temp view v as select 1',
    'select 1 as a into temp t',
    'create table pg_temp.t (a int)',
    'select pg_advisory_lock(1)',
    'select pg_catalog.pg_try_advisory_lock_shared(1, 2)',
    'prepare p as select 1',
    'declare c cursor with hold for select 1',
    'select setseed(0.5)',
    'select set_config($1, $2, false)',
    'do $$ begin create temp table t (a int); end $$',
    'do $outer$ begin perform pg_advisory_lock(1); end $outer$',
  ];
  for (const sql of pinning) assert.ok(traitsOf(sql).pins, sql);
  const free = [
    'create temp table t (a int) on commit drop',
    'select pg_advisory_xact_lock(1)',
    "prepare transaction 'x'",
    'declare c cursor for select 1',
    'insert into temp select 1',
    "update t set a = 'create temp table'",
    'select pg_advisory_unlock_all()',
    'select set_config($1, $2, true)',
  ];
  for (const sql of free) assert.equal(traitsOf(sql).pins, undefined, sql);
});

test('settings, and their names where pg_settings does not show them', () => {
  assert.equal(traitsOf('update t set a = 1').settings, false);
  assert.equal(traitsOf('set transaction isolation level serializable').settings, false);
  for (const sql of [
    'set a = 1',
    'reset all',
    'discard all',
    'set role x',
    'set session authorization x',
    "do 'set a = 1'",
  ])
    assert.equal(traitsOf(sql).settings, true, sql);
  assert.deepEqual(
    traitsOf("SET LOCAL App.Tenant = 'x'; select set_config('app.user', 'y', false)").customSettings,
    ['app.tenant', 'app.user'],
  );
});

test('sequence state and DEALLOCATE', () => {
  assert.equal(traitsOf("select currval('s')").sequenceState, true);
  assert.equal(traitsOf("select nextval('s')").sequenceState, false);
  assert.equal(traitsOf('deallocate prepare "A b"').deallocates, 'A b');
  assert.equal(traitsOf('deallocate all').deallocates, undefined);
  assert.equal(traitsOf('deallocate x; select 1').deallocates, undefined);
});

test('what functions leave behind of settings', () => {
  const made = (body: string) =>
    traitsOf(`create function f() returns void language plpgsql as $$ ${body} $$`);
  const bodies: [string, boolean][] = [
    ["begin perform set_config('app.tenant', who, false); end", true],
    ['begin if a then set role to x; end if; end', true],
    ['begin reset all; end', true],
    ["select pg_catalog.set_config('app.tenant', concat('a', 'true'), now() is null), true", true],
    ["begin perform set_config('app.tenant', coalesce(a, 'b'), true); end", false],
    ['begin set local role x; end', false],
    ['begin update t set a = 1; end', false],
    ['begin set constraints all deferred; end', false],
  ];
  for (const [body, leaves] of bodies) {
    assert.equal(made(body).makesSetter ?? false, leaves, body);
    assert.equal(bodyTraits(body).settings, leaves, body);
  }
  const [[tenant]] = bodies;
  assert.deepEqual(new Set(made(tenant).customSettings), new Set(['app.tenant']));
  const nested = `do $do$ begin create function f() returns void language plpgsql as $$ ${tenant} $$; end $do$`;
  assert.equal(traitsOf(nested).makesSetter, true);
  assert.equal(made('begin perform set_config(name, value, false); end').refuses, 'settings_in_function');
  assert.equal(made('begin perform set_config(name, value, true); end').refuses, undefined);
  const atomic = "create function f() returns text begin atomic select set_config('a.b', 'c', false); end";
  assert.equal(traitsOf(atomic).makesSetter, true);
  assert.equal(traitsOf("select set_config('a.b', 'c', true)").settings, false);
  assert.equal(traitsOf("select set_config('a.b', 'c', false), true").settings, true);
});

test('what surely leaves no transaction open, and what ends one', () => {
  const cases: [string, 'plain' | 'ends' | undefined][] = [
    ['select 1', 'plain'],
    ['  INSERT INTO t VALUES (1);\n', 'plain'],
    ['with a as (select 1) delete from t', 'plain'],
    ['select 1; begin', undefined],
    ["select ';'", undefined],
    ['begin', undefined],
    ['start transaction', undefined],
    ['call p()', undefined],
    ['explain analyze select 1', undefined],
    ['/* begin */ select 1', undefined],
    ['', undefined],
    ["select set_config('a.b', 'c', false)", undefined],
    ['select 1 into temp t', undefined],
    ['copy t from stdin', undefined],
    ['commit', 'ends'],
    ['END ;', 'ends'],
    ['rollback work', 'ends'],
    ['abort transaction', 'ends'],
    ['rollback to savepoint s', undefined],
    ['commit and chain', undefined],
    ["commit prepared 'x'", undefined],
    ['commit; begin', undefined],
  ];
  for (const [sql, course] of cases) assert.equal(traitsOf(sql).course, course, sql);
});
