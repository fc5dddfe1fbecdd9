/** Documents from call to call: versions, the default, and those of Amazon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { SsmBench } from '../testing/ssm-bench.ts';
import { contentHash } from './documents/content-hash.ts';

const Name = 'say-hello';
const contentOf = (line: string) =>
  JSON.stringify({
    schemaVersion: '2.2',
    description: `says ${line}`,
    parameters: {
      who: { type: 'String', description: 'whom', default: 'all' },
      more: { type: 'StringList', default: ['x'] },
    },
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'say',
        inputs: { runCommand: [`echo ${line} {{ who }}`, '{{ more }}'] },
      },
    ],
  });

async function withVersions(bench: SsmBench, count: number): Promise<void> {
  await bench.call('CreateDocument', { Name, Content: contentOf('1'), VersionName: 'first' });
  for (let version = 2; version <= count; version++)
    await bench.call('UpdateDocument', {
      Name,
      Content: contentOf(String(version)),
      DocumentVersion: '$LATEST',
    });
}

test('a document is made, told of, and sent', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  const { DocumentDescription } = await bench.call('CreateDocument', { Name, Content: contentOf('1') });
  const { CreatedDate, ...told } = must(DocumentDescription);
  assert.deepEqual(CreatedDate, new Date(bench.clock.wallMs()));
  assert.deepEqual(told, {
    Name,
    DocumentVersion: '1',
    PlatformTypes: ['Linux'],
    DocumentType: 'Command',
    DocumentFormat: 'JSON',
    SchemaVersion: '2.2',
    Hash: contentHash(contentOf('1')),
    HashType: 'Sha256',
    Owner: '123456789012',
    Status: 'Active',
    Description: 'says 1',
    Parameters: [
      { Name: 'who', Type: 'String', Description: 'whom', DefaultValue: 'all' },
      { Name: 'more', Type: 'StringList', Description: '', DefaultValue: '["x"]' },
    ],
    LatestVersion: '1',
    DefaultVersion: '1',
    Tags: [],
  });
  const { Content } = await bench.call('GetDocument', { Name });
  assert.equal(Content, contentOf('1'));
  await bench.send({ DocumentName: Name, Parameters: { who: ['ann'] } });
  const [delivery] = await bench.desk.deliveries('machine-0');
  assert.deepEqual(delivery.document.steps[0].inputs, { runCommand: ['echo 1 ann', 'x'] });
});

test('versions: the default stays until it is changed, and numbers are not used again', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  await withVersions(bench, 3);
  const says = async (DocumentVersion?: string, VersionName?: string) => {
    const { Document } = await bench.call('DescribeDocument', { Name, DocumentVersion, VersionName });
    return Document?.Description;
  };
  assert.deepEqual([await says(), await says('$LATEST'), await says('2')], ['says 1', 'says 3', 'says 2']);
  assert.equal(await says(undefined, 'first'), 'says 1');
  await assert.rejects(says('4'), { name: 'InvalidDocumentVersion' });
  await assert.rejects(says('2', 'first'), { name: 'InvalidDocumentVersion' });
  const { Description } = await bench.call('UpdateDocumentDefaultVersion', { Name, DocumentVersion: '2' });
  assert.deepEqual(Description, { Name, DefaultVersion: '2' });
  assert.equal(await says(), 'says 2');
  await assert.rejects(bench.call('DeleteDocument', { Name, DocumentVersion: '2' }), {
    name: 'InvalidDocumentOperation',
  });
  await bench.call('DeleteDocument', { Name, DocumentVersion: '3' });
  assert.equal(await says('$LATEST'), 'says 2');
  await bench.call('UpdateDocument', { Name, Content: contentOf('4'), DocumentVersion: '2' });
  const { DocumentVersions = [] } = await bench.call('ListDocumentVersions', { Name });
  assert.deepEqual(
    DocumentVersions.map(({ DocumentVersion, IsDefaultVersion }) => [DocumentVersion, IsDefaultVersion]),
    [
      ['1', false],
      ['2', true],
      ['4', false],
    ],
  );
});

test('what changes of documents may not say', async () => {
  using bench = new SsmBench();
  await withVersions(bench, 2);
  const update = (more: object) => bench.call('UpdateDocument', { Name, Content: contentOf('x'), ...more });
  await assert.rejects(update({ Content: contentOf('2') }), { name: 'DuplicateDocumentContent' });
  await assert.rejects(update({ VersionName: 'first' }), { name: 'DuplicateDocumentVersionName' });
  await assert.rejects(update({ DocumentVersion: '1' }), { name: 'InvalidDocumentVersion' });
  await assert.rejects(update({ Content: '{}' }), { name: 'InvalidDocumentSchemaVersion' });
  await assert.rejects(update({ DocumentFormat: 'YAML' }), {
    name: 'InvalidDocumentContent',
    message: /JSON/,
  });
  await assert.rejects(update({ Name: 'other' }), { name: 'InvalidDocument' });
  const create = (more: object) =>
    bench.call('CreateDocument', { Name: 'other', Content: contentOf('x'), ...more });
  await assert.rejects(create({ Name }), { name: 'DocumentAlreadyExists' });
  for (const wrong of [
    { Name: 'a' },
    { Name: 'a b c' },
    { Name: 'AWS-Mine' },
    { Name: 'amazon-mine' },
    { DocumentType: 'Automation' },
    { TargetType: '/AWS::EC2::Instance' },
    { Attachments: [{ Key: 'SourceUrl' }] },
    { Tags: [{ Key: 'a', Value: 'b' }] },
  ])
    await assert.rejects(create(wrong), { code: 'ValidationException' }, JSON.stringify(wrong));
});

test('all versions of a document have a mebibyte together', async () => {
  using bench = new SsmBench();
  await bench.call('CreateDocument', { Name, Content: contentOf('1') });
  const update = (version: number) =>
    bench.call('UpdateDocument', { Name, Content: contentOf(`${version} ${'x'.repeat(30_000)}`) });
  const grow = async () => {
    for (let version = 0; version < 40; version++) await update(version);
  };
  await assert.rejects(grow(), { name: 'DocumentVersionLimitExceeded' });
});

test('a document that is deleted is gone, and commands of it go on', async () => {
  using bench = new SsmBench(undefined, 1);
  await bench.hello();
  await withVersions(bench, 2);
  const id = await bench.send({ DocumentName: Name, Parameters: {} });
  await bench.call('DeleteDocument', { Name });
  await assert.rejects(bench.call('GetDocument', { Name }), { name: 'InvalidDocument' });
  await assert.rejects(bench.call('DeleteDocument', { Name }), { name: 'InvalidDocument' });
  assert.equal(await bench.carryOut(bench.instances[0]), 1);
  assert.equal(await bench.state(id), 'Success Success');
});

test('those of Amazon are there for everybody, and for nobody to change', async () => {
  using bench = new SsmBench();
  await bench.call('CreateDocument', { Name, Content: contentOf('1') });
  const names = async (...filters: [key: string, ...values: string[]][]) => {
    const Filters = filters.map(([Key, ...Values]) => ({ Key, Values }));
    const { DocumentIdentifiers = [] } = await bench.call('ListDocuments', { Filters });
    return DocumentIdentifiers.map((each) => each.Name);
  };
  const amazons = [
    'AWS-ConfigureAWSPackage',
    'AWS-RunShellScript',
    'AWSEC2-CreateVssSnapshot',
    'AWSEC2-ManageVssIO',
    'Rokka-RestoreVssSnapshot',
  ];
  assert.deepEqual(await names(['Owner', 'Amazon']), amazons);
  assert.deepEqual(await names(['Owner', 'Self']), [Name]);
  assert.deepEqual(await names(['Owner', '123456789012']), [Name]);
  assert.deepEqual(await names(['Owner', 'All'], ['Name', 'AWSEC2-', 'say']), [...amazons.slice(2, 4), Name]);
  assert.deepEqual(await names(['PlatformTypes', 'Windows']), []);
  assert.deepEqual(await names(['DocumentType', 'Command']), [...amazons, Name]);
  await assert.rejects(names(['Colour', 'x']), { name: 'InvalidFilterKey' });
  await assert.rejects(names(['Owner']), { code: 'ValidationException' });
  const older = await bench.call('ListDocuments', { DocumentFilterList: [{ key: 'Owner', value: 'Self' }] });
  assert.equal(older.DocumentIdentifiers?.length, 1);
  for (const name of amazons) {
    const { Document } = await bench.call('DescribeDocument', { Name: name });
    assert.deepEqual([Document?.Owner, Document?.DocumentVersion], ['Amazon', '1']);
    const refused = { name: 'InvalidDocumentOperation' };
    await assert.rejects(bench.call('DeleteDocument', { Name: name }), refused);
    await assert.rejects(bench.call('UpdateDocument', { Name: name, Content: contentOf('x') }), refused);
    await assert.rejects(
      bench.call('UpdateDocumentDefaultVersion', { Name: name, DocumentVersion: '1' }),
      refused,
    );
  }
});
