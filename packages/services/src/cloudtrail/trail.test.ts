import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { LookupEventsCommandInput } from '@aws-sdk/client-cloudtrail';
import type { AuditRecord } from '@rokka/gateway';
import { must, settled, systemRandom, VirtualClock } from '@rokka/kernel';
import { lookupEvents } from './lookup-events.ts';
import { openTrail, type Trail, type TrailOptions } from './trail.ts';
import { lookUpSql } from './trail-query.ts';

const ACCOUNT = '111122223333';

interface Fixture {
  path: string;
  clock: VirtualClock;
  trail: Trail;
  /** Resolves when it is written; the clock must move first. */
  record(more?: Partial<AuditRecord>): Promise<void>;
  write(...records: Partial<AuditRecord>[]): Promise<void>;
  find(input?: LookupEventsCommandInput): ReturnType<typeof lookupEvents>;
}

async function withTrail(
  run: (fixture: Fixture) => Promise<void>,
  more: Partial<TrailOptions> = {},
): Promise<void> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trail-'));
  try {
    const clock = new VirtualClock();
    const file = path.join(directory, 'trail.db');
    await using trail = openTrail({ path: file, clock, random: systemRandom, account: ACCOUNT, ...more });
    await run(fixtureOf(file, clock, trail));
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

function fixtureOf(file: string, clock: VirtualClock, trail: Trail): Fixture {
  const record = (one: Partial<AuditRecord> = {}) => trail.record({ ...CALL, atMs: clock.wallMs(), ...one });
  return {
    path: file,
    clock,
    trail,
    record,
    write: async (...records) => {
      const written = records.map(record);
      await settled();
      clock.advanceTo(clock.nowMs());
      await Promise.all(written);
    },
    find: (input = {}) => lookupEvents(input, { trail } as unknown as Parameters<typeof lookupEvents>[1]),
  };
}

const CALL: AuditRecord = {
  requestId: 'request-1',
  atMs: 0,
  eventSource: 'rds.amazonaws.com',
  eventName: 'CreateDBCluster',
  region: 'eu-west-1',
  sourceAddress: '10.0.0.1',
  userAgent: 'aws-cli/2',
  principal: {
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/team/ann`,
    userId: 'AIDAEXAMPLE',
    kind: 'user',
  },
  accessKeyId: 'AKIAEXAMPLE',
  readOnly: false,
  errorCode: undefined,
  errorMessage: undefined,
  request: { DBClusterIdentifier: 'orders', Engine: 'aurora-postgresql', Tags: [{ Key: 'a', Value: 'b' }] },
};

test('a call as CloudTrail writes it', () =>
  withTrail(async ({ write, find, clock }) => {
    await write({});
    const [event, more] = (await find()).Events ?? [];
    assert.equal(more, undefined);
    const { eventID, eventTime, ...written } = JSON.parse(event.CloudTrailEvent ?? '') as Record<
      string,
      unknown
    >;
    assert.deepEqual(written, {
      eventVersion: '1.11',
      userIdentity: {
        type: 'IAMUser',
        principalId: 'AIDAEXAMPLE',
        arn: `arn:aws:iam::${ACCOUNT}:user/team/ann`,
        accountId: ACCOUNT,
        accessKeyId: 'AKIAEXAMPLE',
        userName: 'ann',
      },
      eventSource: 'rds.amazonaws.com',
      eventName: 'CreateDBCluster',
      awsRegion: 'eu-west-1',
      sourceIPAddress: '10.0.0.1',
      userAgent: 'aws-cli/2',
      requestParameters: {
        dBClusterIdentifier: 'orders',
        engine: 'aurora-postgresql',
        tags: [{ Key: 'a', Value: 'b' }],
      },
      responseElements: null,
      requestID: 'request-1',
      readOnly: false,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: ACCOUNT,
      eventCategory: 'Management',
    });
    assert.match(String(eventID), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Date.parse(String(eventTime)), Math.floor(clock.wallMs() / 1000) * 1000);
    const { CloudTrailEvent: _text, EventTime, EventId, ...shown } = event;
    assert.deepEqual(shown, {
      EventName: 'CreateDBCluster',
      ReadOnly: 'false',
      EventSource: 'rds.amazonaws.com',
      AccessKeyId: 'AKIAEXAMPLE',
      Username: 'ann',
      Resources: [{ ResourceName: 'orders' }],
    });
    assert.equal(EventId, eventID);
    assert.equal(EventTime?.getTime(), clock.wallMs());
  }));

test('sessions of roles, failures, and calls of nobody', () =>
  withTrail(async ({ write, find }) => {
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/worker/run`;
    await write(
      {
        principal: { account: ACCOUNT, arn, userId: 'AROAEXAMPLE:run', kind: 'assumed-role' },
        eventName: 'A',
      },
      {
        principal: undefined,
        accessKeyId: undefined,
        errorCode: 'AccessDenied',
        errorMessage: 'no',
        eventName: 'B',
      },
    );
    const events = ((await find()).Events ?? []).map(
      ({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent ?? '') as Record<string, unknown>,
    );
    assert.deepEqual(events[0].userIdentity, { type: 'Unknown' });
    assert.deepEqual([events[0].errorCode, events[0].errorMessage], ['AccessDenied', 'no']);
    assert.deepEqual(events[1].userIdentity, {
      type: 'AssumedRole',
      principalId: 'AROAEXAMPLE:run',
      arn,
      accountId: ACCOUNT,
      accessKeyId: 'AKIAEXAMPLE',
      sessionContext: {
        sessionIssuer: { type: 'Role', principalId: 'AROAEXAMPLE', accountId: ACCOUNT, userName: 'worker' },
      },
    });
    const [found] =
      (await find({ LookupAttributes: [{ AttributeKey: 'Username', AttributeValue: 'run' }] })).Events ?? [];
    assert.equal(found.EventName, 'A');
  }));

test('each attribute finds its events, and no others', () =>
  withTrail(async ({ write, find }) => {
    await write(
      {},
      { eventName: 'DescribeDBClusters', readOnly: true, request: { DBClusterIdentifier: 'users' } },
    );
    await write({
      eventSource: 'ec2.amazonaws.com',
      eventName: 'RunInstances',
      accessKeyId: 'AKIAOTHER',
      request: undefined,
    });
    await write({
      eventSource: 'sts.amazonaws.com',
      eventName: 'AssumeRole',
      request: { RoleArn: 'arn', RoleSessionName: 'run', ExternalId: 'x' },
    });
    const names = async (AttributeKey: string, AttributeValue: string) =>
      (
        await find({ LookupAttributes: [{ AttributeKey: AttributeKey as 'EventName', AttributeValue }] })
      ).Events?.map(({ EventName }) => EventName);
    assert.deepEqual(await names('EventName', 'CreateDBCluster'), ['CreateDBCluster']);
    assert.deepEqual(await names('EventSource', 'rds.amazonaws.com'), [
      'DescribeDBClusters',
      'CreateDBCluster',
    ]);
    assert.deepEqual(await names('ReadOnly', 'true'), ['DescribeDBClusters']);
    assert.deepEqual(await names('AccessKeyId', 'AKIAOTHER'), ['RunInstances']);
    assert.deepEqual(await names('ResourceName', 'users'), ['DescribeDBClusters']);
    assert.deepEqual(await names('ResourceName', 'arn'), ['AssumeRole']);
    assert.deepEqual(await names('ResourceName', 'x'), []);
    assert.deepEqual(await names('Username', 'bob'), []);
    const [newest] = (await find()).Events ?? [];
    assert.deepEqual(await names('EventId', must(newest.EventId)), ['AssumeRole']);
    for (const wrong of [
      [{ AttributeKey: 'ResourceType' as const, AttributeValue: 'x' }],
      [{ AttributeKey: 'EventName' as const, AttributeValue: '' }],
      [1, 2].map(() => ({ AttributeKey: 'EventName' as const, AttributeValue: 'x' })),
    ])
      await assert.rejects(find({ LookupAttributes: wrong }), { name: 'InvalidLookupAttributesException' });
  }));

test('no lookup sorts, or reads what it does not answer', () =>
  withTrail(async ({ path: file }) => {
    using database = new DatabaseSync(file, { readOnly: true });
    const attributes = [
      'AccessKeyId',
      'EventName',
      'EventSource',
      'ReadOnly',
      'ResourceName',
      'Username',
    ] as const;
    for (const attribute of [undefined, ...attributes]) {
      const parameters = [0, 1, 1, 1, ...(attribute ? ['x'] : []), 1];
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${lookUpSql(attribute)}`).all(...parameters);
      const steps = plan.map(({ detail }) => String(detail));
      assert.ok(!steps.some((step) => /SCAN|TEMP B-TREE/.test(step)), `${attribute}: ${steps.join('; ')}`);
    }
  }));

test('newest first, in pages that go on although more is written', () =>
  withTrail(async ({ write, find, clock }) => {
    for (let i = 0; i < 60; i++) {
      clock.advanceTo(i * 1000);
      await write({ eventName: `E${i}` }, { eventName: `F${i}` });
    }
    const seen: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const page = await find({ NextToken, MaxResults: 50 });
      assert.ok((page.Events?.length ?? 0) <= 50);
      seen.push(...(page.Events ?? []).map(({ EventName }) => EventName));
      NextToken = page.NextToken;
      clock.advanceTo(clock.nowMs() + 1000);
      await write({ eventName: 'later' });
    } while (NextToken !== undefined);
    assert.deepEqual(seen, Array.from({ length: 60 }, (_, i) => [`F${59 - i}`, `E${59 - i}`]).flat());
    const between = await find({
      StartTime: new Date(clock.wallMs() - clock.nowMs() + 10_000),
      EndTime: new Date(clock.wallMs() - clock.nowMs() + 11_000),
    });
    assert.deepEqual(
      between.Events?.map(({ EventName }) => EventName),
      ['F11', 'E11', 'F10', 'E10'],
    );
  }));

test('what is not a query is refused', () =>
  withTrail(async ({ write, find }) => {
    await write({}, {});
    const { NextToken } = await find({ MaxResults: 1 });
    await assert.rejects(find({ NextToken: 'x' }), { name: 'InvalidNextTokenException' });
    const other = {
      LookupAttributes: [{ AttributeKey: 'EventName' as const, AttributeValue: 'x' }],
      NextToken,
    };
    await assert.rejects(find(other), { name: 'InvalidNextTokenException' });
    for (const MaxResults of [0, 51, 1.5])
      await assert.rejects(find({ MaxResults }), { name: 'InvalidMaxResultsException' });
    await assert.rejects(find({ StartTime: new Date(2), EndTime: new Date(1) }), {
      name: 'InvalidTimeRangeException',
    });
    await assert.rejects(find({ EventCategory: 'insight' }), { name: 'InvalidEventCategoryException' });
  }));

test('the oldest go when there are too many, or when they are too old', () =>
  withTrail(
    async ({ write, find, clock }) => {
      const names = async () => (await find()).Events?.map(({ EventName }) => EventName);
      for (let i = 0; i < 8; i++) {
        clock.advanceTo(i * 10);
        await write({ eventName: `E${i}`, request: { Name: `r${i}` } });
      }
      assert.deepEqual(await names(), ['E7', 'E6', 'E5', 'E4', 'E3']);
      clock.advanceTo(10_065);
      await write({ eventName: 'new' });
      assert.deepEqual(await names(), ['new', 'E7']);
      const gone = await find({ LookupAttributes: [{ AttributeKey: 'ResourceName', AttributeValue: 'r6' }] });
      assert.deepEqual(gone.Events, []);
    },
    { countMax: 5, ageMsMax: 10_000 },
  ));

test('all that arrive in one turn are one transaction, and nobody is answered before it', () =>
  withTrail(async ({ record, clock, path: file, find }) => {
    let answered = 0;
    const waiting = Array.from({ length: 20 }, () => record().then(() => answered++));
    await settled();
    assert.equal(answered, 0);
    assert.deepEqual((await find()).Events, []);
    using other = new DatabaseSync(file, { readOnly: true });
    const count = () => (other.prepare('SELECT count(*) AS n FROM events').get() as { n: number }).n;
    assert.equal(count(), 0);
    clock.advanceTo(clock.nowMs());
    assert.equal(count(), 20, 'committed');
    await Promise.all(waiting);
    assert.equal(answered, 20);
  }));

test('a call that cannot be written as JSON fails alone, and a full queue refuses', () =>
  withTrail(
    async ({ record, clock }) => {
      const fine = record();
      await assert.rejects(record({ request: { size: 1n } }), TypeError);
      const second = record();
      await assert.rejects(record(), { code: 'AUDIT_BUSY' });
      clock.advanceTo(clock.nowMs());
      await Promise.all([fine, second]);
      const third = record();
      clock.advanceTo(clock.nowMs());
      await third;
    },
    { waitingMax: 2 },
  ));

test('a trail that is closed has written what waited; the file is its owner’s, and there again', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trail-'));
  const file = path.join(directory, 'sub', 'trail.db');
  const clock = new VirtualClock();
  const open = () => openTrail({ path: file, clock, random: systemRandom, account: ACCOUNT });
  try {
    const trail = open();
    const { record, write } = fixtureOf(file, clock, trail);
    await write({});
    for (const each of [file, `${file}-wal`]) assert.equal(fs.statSync(each).mode & 0o777, 0o600, each);
    const written = record();
    await trail[Symbol.asyncDispose]();
    await written;
    await assert.rejects(record(), { code: 'AUDIT_CLOSED' });
    await using again = open();
    assert.equal((await fixtureOf(file, clock, again).find()).Events?.length, 2);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('signatures that calls have used are told to whoever opens the file next, until they are over', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trail-'));
  const file = path.join(directory, 'trail.db');
  const clock = new VirtualClock();
  const startMs = clock.wallMs();
  const open = () => openTrail({ path: file, clock, random: systemRandom, account: ACCOUNT });
  const used = (key: string, goodUntilMs: number) => ({
    key,
    firstMs: startMs,
    goodUntilMs: startMs + goodUntilMs,
  });
  const [short, long] = [used('aa', 5_000), used('bb', 60_000)];
  const stored = () => {
    using reader = new DatabaseSync(file, { readOnly: true });
    return reader.prepare('SELECT count(*) AS n FROM signatures').get()?.['n'];
  };
  try {
    {
      await using trail = open();
      await fixtureOf(file, clock, trail).write({ used: short }, {}, { used: long }, { used: long });
    }
    {
      await using trail = open();
      assert.deepEqual(trail.usedSignatures(startMs + 5_000), [short, long]);
      assert.deepEqual(trail.usedSignatures(startMs + 5_001), [long]);
    }
    clock.advanceTo(clock.nowMs() + 5_001);
    {
      await using trail = open();
      assert.equal(stored(), 2);
      await fixtureOf(file, clock, trail).write({});
      assert.equal(stored(), 1, 'what is over is removed');
    }
    {
      using older = new DatabaseSync(file);
      older.exec('DROP TABLE signatures');
    }
    await using trail = open();
    assert.deepEqual(trail.usedSignatures(startMs), [], 'a file from before there were any');
    await fixtureOf(file, clock, trail).write({ used: long });
    assert.deepEqual(trail.usedSignatures(startMs), [long]);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('a file of something else is left alone', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trail-'));
  const open = (name: string) =>
    openTrail({
      path: path.join(directory, name),
      clock: new VirtualClock(),
      random: systemRandom,
      account: ACCOUNT,
    });
  try {
    {
      using other = new DatabaseSync(path.join(directory, 'other.db'));
      other.exec('CREATE TABLE t (x)');
      using newer = new DatabaseSync(path.join(directory, 'newer.db'));
      newer.exec('CREATE TABLE t (x); PRAGMA application_id = 1383033716; PRAGMA user_version = 9');
    }
    fs.writeFileSync(
      path.join(directory, 'text.db'),
      'not a database, and longer than its header '.repeat(20),
    );
    assert.throws(() => open('other.db'), { code: 'AUDIT_FOREIGN' });
    assert.throws(() => open('newer.db'), { code: 'AUDIT_VERSION' });
    assert.throws(() => open('text.db'), { code: 'AUDIT_FAILED' });
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
