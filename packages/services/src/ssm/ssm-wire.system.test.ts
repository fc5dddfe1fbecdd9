/** The official client and its waiter, against a gateway over SQLite, while agents and the keeper go on by themselves. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import {
  CancelCommandCommand,
  CreateDocumentCommand,
  DeleteDocumentCommand,
  DescribeDocumentCommand,
  DescribeInstanceInformationCommand,
  GetCommandInvocationCommand,
  GetDocumentCommand,
  GetParameterCommand,
  InvalidCommandId,
  InvalidInstanceId,
  InvalidParameters,
  ListCommandInvocationsCommand,
  ListDocumentsCommand,
  ListDocumentVersionsCommand,
  paginateListCommands,
  SendCommandCommand,
  SSMClient,
  SSMServiceException,
  UpdateDocumentCommand,
  UpdateDocumentDefaultVersionCommand,
  waitUntilCommandExecuted,
} from '@aws-sdk/client-ssm';
import { must, systemClock } from '@rokka/kernel';
import { openSqliteRegistry } from '@rokka/registry';
import { serve } from '../testing/served-service.ts';
import { REGION } from '../testing/service-bench.ts';
import { SsmBench, stepOf } from '../testing/ssm-bench.ts';
import { until } from '../testing/until.ts';
import { ssmService } from './ssm-service.ts';

const timeout = 600_000;
const documentArn = (owner: string, name: string) => `arn:aws:ssm:${REGION}:${owner}:document/${name}`;
const instanceArn = (id: string) => `arn:aws:ec2:${REGION}:123456789012:instance/${id}`;
const Content = (line: string) =>
  JSON.stringify({
    schemaVersion: '2.2',
    parameters: { who: { type: 'String', allowedValues: ['all', 'ann'] } },
    mainSteps: [{ action: 'aws:runShellScript', name: 'say', inputs: { runCommand: [`${line} {{ who }}`] } }],
  });

/** Whatever any machine may begin ends well, with what it was to run as its output. */
async function carryOut(bench: SsmBench): Promise<void> {
  for (const instance of bench.instances)
    for (const delivery of await bench.begin(instance)) {
      const steps = delivery.document.steps.map(({ name, inputs }) =>
        stepOf(name, { stdout: JSON.stringify(inputs['runCommand']), startedAtMs: 0, endedAtMs: 20 }),
      );
      await bench.desk.end(delivery, { status: 'Success', steps });
    }
}

test('a life of commands and documents, as the SDK and its waiter see it', { timeout }, async () => {
  using directory = new SsmBench();
  await using registry = await openSqliteRegistry({
    path: path.join(directory.directory, 'registry.db'),
    create: true,
    clock: systemClock,
  });
  using bench = new SsmBench(registry);
  await bench.hello();
  await using served = await serve(ssmService(bench.context), bench);
  const client = new SSMClient(served.client);

  const { InstanceInformationList = [] } = await client.send(
    new DescribeInstanceInformationCommand({ Filters: [{ Key: 'PlatformTypes', Values: ['Linux'] }] }),
  );
  assert.deepEqual(
    InstanceInformationList.map(({ InstanceId }) => InstanceId),
    bench.ids,
  );

  const Name = 'say-hello';
  const made = await client.send(new CreateDocumentCommand({ Name, Content: Content('hello') }));
  assert.equal(made.DocumentDescription?.CreatedDate instanceof Date, true);
  await client.send(
    new UpdateDocumentCommand({ Name, Content: Content('goodbye'), DocumentVersion: '$LATEST' }),
  );
  await client.send(new UpdateDocumentDefaultVersionCommand({ Name, DocumentVersion: '2' }));
  const described = await client.send(new DescribeDocumentCommand({ Name }));
  assert.equal(described.Document?.DefaultVersion, '2');
  const { Content: first } = await client.send(new GetDocumentCommand({ Name, DocumentVersion: '1' }));
  assert.equal(first, Content('hello'));
  const { DocumentVersions } = await client.send(new ListDocumentVersionsCommand({ Name }));
  assert.equal(DocumentVersions?.length, 2);

  const InstanceId = bench.ids[0];
  const { Command } = await client.send(
    new SendCommandCommand({
      DocumentName: Name,
      DocumentHash: must(described.Document?.Hash),
      Parameters: { who: ['ann'] },
      Targets: [{ Key: 'tag:team', Values: ['red'] }],
      MaxErrors: '10%',
    }),
  );
  const CommandId = must(Command?.CommandId);
  await until(async () => {
    await carryOut(bench);
    return (await bench.state(CommandId)) === 'Success Success';
  });
  const waits = { client, maxWaitTime: 180, minDelay: 1, maxDelay: 1 };
  await waitUntilCommandExecuted(waits, { CommandId, InstanceId });
  const invocation = await client.send(new GetCommandInvocationCommand({ CommandId, InstanceId }));
  assert.equal(invocation.StandardOutputContent, '["goodbye ann"]');
  assert.equal(invocation.ExecutionElapsedTime, 'PT0.02S');
  const { CommandInvocations = [] } = await client.send(
    new ListCommandInvocationsCommand({ CommandId, Details: true }),
  );
  assert.deepEqual(
    CommandInvocations.map(({ CommandPlugins }) => CommandPlugins?.[0].Output),
    ['["goodbye ann"]', '["goodbye ann"]'],
  );

  const cancelled = await client.send(
    new SendCommandCommand({
      DocumentName: 'AWS-RunShellScript',
      InstanceIds: [InstanceId],
      Parameters: { commands: ['sleep 1000'] },
    }),
  );
  const where = { CommandId: must(cancelled.Command?.CommandId), InstanceId };
  await client.send(new CancelCommandCommand({ CommandId: where.CommandId }));
  assert.equal((await client.send(new GetCommandInvocationCommand(where))).Status, 'Cancelled');

  const listed: (string | undefined)[] = [];
  for await (const page of paginateListCommands({ client, pageSize: 1 }, {}))
    listed.push(...(page.Commands ?? []).map((each) => each.CommandId));
  assert.deepEqual(listed, [where.CommandId, CommandId]);
  await client.send(new DeleteDocumentCommand({ Name }));
  const own = { Filters: [{ Key: 'Owner', Values: ['Self'] }] };
  assert.deepEqual((await client.send(new ListDocumentsCommand(own))).DocumentIdentifiers, []);
  assert.deepEqual(served.log, []);
});

test('failures have the names that clients know, and texts that say why', { timeout }, async () => {
  using bench = new SsmBench();
  await bench.hello();
  await using served = await serve(ssmService(bench.context), bench);
  const client = new SSMClient(served.client);
  const input = {
    DocumentName: 'AWS-RunShellScript',
    InstanceIds: bench.ids,
    Parameters: { commands: ['true'] },
  };
  const send = (more: object) => client.send(new SendCommandCommand({ ...input, ...more }));
  await assert.rejects(send({ InstanceIds: ['i-0123456789abcdef0'] }), (error: unknown) => {
    assert.ok(error instanceof InvalidInstanceId);
    assert.match(error.message, /i-0123456789abcdef0/);
    return true;
  });
  await assert.rejects(send({ Parameters: {} }), (error: unknown) => {
    assert.ok(error instanceof InvalidParameters);
    assert.match(error.message, /commands/);
    return true;
  });
  await assert.rejects(
    client.send(new CancelCommandCommand({ CommandId: 'no-such-command-there-is-of-this-id' })),
    (error: unknown) => {
      assert.ok(error instanceof InvalidCommandId);
      assert.match(error.message, /no-such-command/);
      return true;
    },
  );
  await assert.rejects(send({ OutputS3BucketName: 'bucket' }), {
    name: 'ValidationException',
    message: /OutputS3BucketName is not supported here/,
  });
  await assert.rejects(client.send(new GetParameterCommand({ Name: 'x' })), (error: unknown) => {
    assert.ok(error instanceof SSMServiceException);
    assert.equal(error.name, 'NotImplemented');
    return true;
  });
});

test('who sends a command must be allowed the document and each instance', { timeout }, async () => {
  using bench = new SsmBench();
  await bench.hello();
  await using served = await serve(ssmService(bench.context), bench);
  const client = new SSMClient(served.client);
  const DocumentName = 'AWS-RunShellScript';
  const Parameters = { commands: ['true'] };
  const asks = async (work: () => Promise<unknown>) => {
    served.asked.length = 0;
    await work();
    return served.asked.map(({ action, resource }) => [action, resource]);
  };
  const builtin = documentArn('', DocumentName);
  const byTag = { DocumentName, Parameters, Targets: [{ Key: 'tag:team', Values: ['red'] }] };
  assert.deepEqual(await asks(() => client.send(new SendCommandCommand(byTag))), [
    ['ssm:SendCommand', builtin],
    ['ssm:SendCommand', instanceArn(bench.ids[0])],
    ['ssm:SendCommand', instanceArn(bench.ids[2])],
  ]);
  assert.equal(served.asked[1].context['ssm:resourceTag/team'], 'red');
  assert.equal(served.asked[1].context['aws:ResourceTag/team'], 'red');
  const own = new CreateDocumentCommand({ Name: 'mine', Content: Content('x') });
  assert.deepEqual(await asks(() => client.send(own)), [
    ['ssm:CreateDocument', documentArn('123456789012', 'mine')],
  ]);
  assert.deepEqual(await asks(() => client.send(new ListCommandInvocationsCommand({}))), [
    ['ssm:ListCommandInvocations', '*'],
  ]);
  for (const denied of [builtin, instanceArn(bench.ids[2])]) {
    served.denied.add(denied);
    await assert.rejects(client.send(new SendCommandCommand(byTag)), { name: 'AccessDeniedException' });
    served.denied.delete(denied);
  }
  const { CommandInvocations } = await client.send(new ListCommandInvocationsCommand({}));
  assert.equal(CommandInvocations?.length, 2);
});
