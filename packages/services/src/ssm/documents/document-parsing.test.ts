/** Documents of schemaVersion 2.2: what they may say, and that whatever else is refused as such. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BUILTIN_DOCUMENTS } from './builtin-documents.ts';
import { contentHash } from './content-hash.ts';
import { parseDocument } from './document-parsing.ts';
import { executionSeconds } from './execution-time.ts';
import { checkedParameters } from './parameter-values.ts';
import { resolveSteps } from './substitution.ts';

const STEP = { action: 'aws:runShellScript', name: 'run', inputs: { runCommand: ['true'] } };
const DOCUMENT = { schemaVersion: '2.2', mainSteps: [STEP] };
const parsed = (document: object) => parseDocument(JSON.stringify(document));
const step = (more: object) => ({ ...DOCUMENT, mainSteps: [{ ...STEP, ...more }] });
const withInputs = (inputs: object, more: object = {}) => ({ ...step({ inputs }), ...more });
const parameter = (more: object) => ({ ...DOCUMENT, parameters: { p: { type: 'String', ...more } } });

const content = { name: 'InvalidDocumentContent' };

test('a document says its parameters and its steps', () => {
  const { description, parameters, steps } = parsed({
    schemaVersion: '2.2',
    description: 'two steps',
    parameters: { words: { type: 'StringList', default: ['a', 'b'], maxItems: 3 } },
    mainSteps: [
      {
        ...STEP,
        precondition: { StringEquals: ['platformType', 'Linux'] },
        inputs: { runCommand: '{{ words }}', onFailure: 'successAndExit', onSuccess: 'exit' },
      },
      { ...STEP, name: 'after', inputs: { runCommand: ['true'], finallyStep: true, timeoutSeconds: 5 } },
    ],
  });
  assert.equal(description, 'two steps');
  assert.deepEqual(parameters['words'].default, ['a', 'b']);
  assert.deepEqual(steps[0], {
    action: 'aws:runShellScript',
    name: 'run',
    platform: 'Linux',
    inputs: { runCommand: '{{ words }}' },
    onFailure: 'successAndExit',
    onSuccess: 'exit',
    finallyStep: false,
  });
  assert.deepEqual([steps[1].finallyStep, steps[1].platform], [true, undefined]);
  assert.equal(executionSeconds(steps), 3605);
});

const REFUSED: readonly (readonly [why: string, document: object])[] = [
  ['no steps', { schemaVersion: '2.2' }],
  ['an empty list of steps', { ...DOCUMENT, mainSteps: [] }],
  [
    'too many steps',
    { ...DOCUMENT, mainSteps: Array.from({ length: 26 }, (_, i) => ({ ...STEP, name: `s${i}` })) },
  ],
  ['steps that are no list', { ...DOCUMENT, mainSteps: { run: STEP } }],
  ['a member that is not known', { ...DOCUMENT, outputs: [] }],
  ['a member of a step that is not known', step({ maxAttempts: 3 })],
  ['an action that is none', step({ action: 'runShellScript' })],
  ['a name that is none', step({ name: 'a b' })],
  ['two steps of one name', { ...DOCUMENT, mainSteps: [STEP, STEP] }],
  [
    'a finallyStep that is not the last',
    {
      ...DOCUMENT,
      mainSteps: [
        { ...STEP, inputs: { finallyStep: true } },
        { ...STEP, name: 'b' },
      ],
    },
  ],
  ['a finallyStep that is neither', withInputs({ finallyStep: 'yes' })],
  ['another onFailure', withInputs({ onFailure: 'Abort' })],
  ['another onSuccess', withInputs({ onSuccess: 'successAndExit' })],
  ['another precondition', step({ precondition: { StringEquals: ['region', 'x'] } })],
  ['another operator', step({ precondition: { StringLike: ['platformType', 'Linux'] } })],
  ['another platform', step({ precondition: { StringEquals: ['platformType', 'Plan9'] } })],
  ['inputs that are a list', step({ inputs: [] })],
  ['a place that nothing fills', withInputs({ runCommand: ['{{ p }}'] })],
  ['a parameter of another service', withInputs({ runCommand: ['{{ ssm:p }}'] })],
  [
    'a list within a text',
    withInputs({ runCommand: ['x {{ p }}'] }, { parameters: { p: { type: 'StringList' } } }),
  ],
  ['a parameter of another type', parameter({ type: 'Integer' })],
  ['a default of another type', parameter({ default: 5 })],
  ['a default that is a list', parameter({ default: ['a'] })],
  ['a default that is not allowed', parameter({ default: 'a', allowedValues: ['b'] })],
  ['a default that does not match', parameter({ default: 'a', allowedPattern: '^b$' })],
  ['a default that is too long', parameter({ default: 'abc', maxChars: 2 })],
  ['a pattern that is none', parameter({ allowedPattern: '(' })],
  ['a member of a parameter that is not known', parameter({ secret: true })],
  ['a limit that is no number', parameter({ maxChars: 'x' })],
  ['a parameter whose name is none', { ...DOCUMENT, parameters: { 'a b': { type: 'String' } } }],
];

for (const [why, document] of REFUSED)
  test(`refused: ${why}`, () => {
    assert.throws(() => parsed(document), content);
  });

test('what is no JSON, too deep, too large or of another version', () => {
  assert.throws(() => parseDocument('schemaVersion: "2.2"'), content);
  assert.throws(() => parseDocument('[]'), content);
  assert.throws(() => parseDocument('null'), content);
  assert.throws(() => parseDocument('['.repeat(30_000) + ']'.repeat(30_000)), content);
  assert.throws(() => parseDocument(' '.repeat(65_537)), { name: 'MaxDocumentSizeExceeded' });
  for (const schemaVersion of ['2.0', '1.2', '0.3', 2.2, undefined])
    assert.throws(() => parsed({ ...DOCUMENT, schemaVersion }), { name: 'InvalidDocumentSchemaVersion' });
});

test('names that objects have anyway are none of a document', () => {
  assert.throws(() => parsed(withInputs({ runCommand: ['{{ constructor }}'] })), content);
  const proto = '{"schemaVersion":"2.2","parameters":{"__proto__":{"type":"String"}},"mainSteps":[]}';
  assert.throws(() => parseDocument(proto), content);
  const model = parsed(parameter({ default: 'a' }));
  assert.throws(() => checkedParameters(model.parameters, { toString: ['a'] }), {
    name: 'InvalidParameters',
  });
});

test('rubbish is refused by a modelled error, and by nothing else', () => {
  const refused = /^(InvalidDocumentContent|InvalidDocumentSchemaVersion|MaxDocumentSizeExceeded)$/;
  const check = (text: string) => {
    try {
      parseDocument(text);
    } catch (error) {
      assert.match((error as Error).name, refused);
    }
  };
  fc.assert(fc.property(fc.string(), check));
  fc.assert(fc.property(fc.json(), check));
  // Nearly documents: each place of a right one with anything in it.
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('{{ p }}', '{{p}} {{q}}', 'exit', 'String'),
  );
  const nearly = fc.record(
    {
      schemaVersion: fc.constant('2.2'),
      description: anything,
      parameters: fc.oneof(
        anything,
        fc.dictionary(
          fc.constantFrom('p', 'q', '__proto__', 'x y'),
          fc.record(
            {
              type: fc.constantFrom('String', 'StringList'),
              default: anything,
              allowedPattern: anything,
              maxItems: anything,
            },
            { requiredKeys: ['type'] },
          ),
        ),
      ),
      mainSteps: fc.array(
        fc.oneof(
          anything,
          fc.record(
            {
              action: fc.constant('aws:x'),
              name: fc.constantFrom('a', 'b', 'c'),
              inputs: anything,
              precondition: anything,
            },
            { requiredKeys: ['action', 'name'] },
          ),
        ),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: ['schemaVersion'] },
  );
  fc.assert(
    fc.property(nearly, (document) => check(JSON.stringify(document))),
    { numRuns: 500 },
  );
});

test('values take their places: texts in texts, lists for whole values', () => {
  const model = parsed({
    ...DOCUMENT,
    parameters: {
      name: { type: 'String', default: 'world' },
      lines: { type: 'StringList', default: [] },
    },
    mainSteps: [
      {
        ...STEP,
        inputs: {
          whole: '{{lines}}',
          spread: ['first', '{{ lines }}', '{{ name }}'],
          text: 'hello {{ name }}, {{name}}',
          other: "docker ps --format '{{.Names}}'",
          deep: { number: 5, flag: true, none: null, list: [['{{ name }}']] },
        },
      },
    ],
  });
  const inputsFor = (given: Record<string, string[]>) =>
    resolveSteps(model, checkedParameters(model.parameters, given))[0].inputs;
  assert.deepEqual(inputsFor({ name: ['$& {{ lines }}'], lines: ['a {{ name }}', 'b'] }), {
    whole: ['a {{ name }}', 'b'],
    spread: ['first', 'a {{ name }}', 'b', '$& {{ lines }}'],
    text: 'hello $& {{ lines }}, $& {{ lines }}',
    other: "docker ps --format '{{.Names}}'",
    deep: { number: 5, flag: true, none: null, list: [['$& {{ lines }}']] },
  });
  assert.deepEqual(inputsFor({})['whole'], []);
});

test('parameters are given as the document wants them', () => {
  const { parameters } = parsed({
    ...DOCUMENT,
    parameters: {
      must: { type: 'String', allowedPattern: '^[a-z]+$', maxChars: 3 },
      may: { type: 'StringList', default: ['x'], minItems: 1, maxItems: 2, allowedValues: ['x', 'y'] },
    },
  });
  const given = (values: Record<string, string[]>) => checkedParameters(parameters, values);
  assert.deepEqual(given({ must: ['abc'] }), { must: ['abc'], may: ['x'] });
  assert.deepEqual(given({ must: ['abc'], may: ['y', 'x'] }), { must: ['abc'], may: ['y', 'x'] });
  for (const wrong of [
    {},
    { must: [] },
    { must: ['a', 'b'] },
    { must: ['A'] },
    { must: ['abcd'] },
    { must: ['a'], may: [] },
    { must: ['a'], may: ['x', 'x', 'x'] },
    { must: ['a'], may: ['z'] },
    { must: ['a'], other: ['b'] },
  ] as Record<string, string[]>[])
    assert.throws(() => given(wrong), { name: 'InvalidParameters' }, JSON.stringify(wrong));
});

test('a pattern that would run for years is refused with its value', () => {
  const { parameters } = parsed(parameter({ allowedPattern: '^(a+)+$' }));
  const long = `${'a'.repeat(40)}!`;
  assert.throws(() => checkedParameters(parameters, { p: [long] }), { name: 'InvalidParameters' });
  assert.deepEqual(checkedParameters(parameters, { p: ['aaa'] }), { p: ['aaa'] });
});

test('the built-in documents are documents, of one step each', () => {
  const actions: Record<string, string> = {};
  for (const { name, content: text, hash } of BUILTIN_DOCUMENTS.values()) {
    const { steps, parameters } = parseDocument(text);
    assert.equal(steps.length, 1);
    assert.equal(steps[0].platform, 'Linux');
    assert.equal(hash, contentHash(text));
    // Each parameter is used.
    for (const each of Object.keys(parameters)) assert.ok(text.includes(`{{ ${each} }}`), `${name} ${each}`);
    actions[name] = steps[0].action;
  }
  assert.deepEqual(actions, {
    'AWSEC2-CreateVssSnapshot': 'aws:createVssSnapshot',
    'AWSEC2-ManageVssIO': 'aws:manageVssIO',
    'AWS-ConfigureAWSPackage': 'aws:configurePackage',
    'AWS-RunShellScript': 'aws:runShellScript',
    'Rokka-RestoreVssSnapshot': 'aws:restoreVssSnapshot',
  });
});

test('AWSEC2-CreateVssSnapshot needs nothing, and says all of it', () => {
  const model = parseDocument(BUILTIN_DOCUMENTS.get('AWSEC2-CreateVssSnapshot')?.content ?? '');
  const [{ inputs }] = resolveSteps(
    model,
    checkedParameters(model.parameters, { ExcludeBootVolume: ['True'] }),
  );
  assert.deepEqual(inputs, {
    ExcludeBootVolume: 'True',
    description: '',
    tags: 'Key=Name,Value=',
    CopyOnly: 'False',
    NoWriters: 'False',
    CreateAmi: 'False',
    AmiName: '',
    CollectDiagnosticLogs: 'False',
    SaveVssMetadata: 'False',
    VssVersion: '',
    timeoutSeconds: '900',
  });
  for (const wrong of [{ CopyOnly: ['true'] }, { executionTimeout: ['0'] }, { executionTimeout: ['172801'] }])
    assert.throws(() => checkedParameters(model.parameters, wrong), { name: 'InvalidParameters' });
});
