/** From the text of a document to what it says; whatever it is that is no document of schemaVersion 2.2 is refused by a modelled error. */
import { ssmFailures } from '../ssm-failures.ts';
import type { DocumentModel, DocumentStep, Json, JsonObject } from './document-model.ts';
import { asList, asObject, asText, demandKnown, memberOf, parsedObject } from './json-shape.ts';
import { checkDefaults } from './parameter-values.ts';
import { parseParameters } from './parameter-definitions.ts';
import { demandParametersDefined } from './substitution.ts';

export const SCHEMA_VERSION = '2.2';
/** AWS's limit. */
const BYTES_MAX = 64 * 1024;
/** What they print is kept, all of it in one record. */
const STEPS_MAX = 25;
const NAME = /^[a-zA-Z0-9_-]{1,128}$/;
const ACTION = /^aws:[a-zA-Z]{1,64}$/;
const PLATFORMS = ['Linux', 'Windows', 'MacOS'];

/** @throws InvalidDocumentContent, InvalidDocumentSchemaVersion, MaxDocumentSizeExceeded */
export function parseDocument(text: string): DocumentModel {
  if (Buffer.byteLength(text) > BYTES_MAX)
    throw ssmFailures.documentSize(`The size limit of a document is ${BYTES_MAX / 1024} KB.`);
  const document = parsedObject(text);
  const schema = memberOf(document, 'schemaVersion');
  if (schema !== SCHEMA_VERSION)
    throw ssmFailures.documentSchema(
      `The schema version ${JSON.stringify(schema ?? null).slice(0, 64)} is not supported here: use "${SCHEMA_VERSION}".`,
    );
  demandKnown(document, ['schemaVersion', 'description', 'parameters', 'mainSteps'], 'the document');
  const description = textOf(document, 'description', 'description');
  const parameters = parseParameters(memberOf(document, 'parameters') ?? {});
  const steps = parseSteps(memberOf(document, 'mainSteps'));
  const model = { description, parameters, steps };
  for (const step of steps) demandParametersDefined(step.inputs, model.parameters);
  checkDefaults(model.parameters);
  return model;
}

function parseSteps(value: Json | undefined): DocumentStep[] {
  const list = asList(value, 'mainSteps');
  if (list.length === 0 || list.length > STEPS_MAX)
    throw ssmFailures.documentContent(`Invalid document: mainSteps has 1 to ${STEPS_MAX} steps.`);
  const steps = list.map((each, index) => parseStep(each, `mainSteps[${index}]`));
  for (const [index, { name, finallyStep }] of steps.entries()) {
    if (steps.findIndex((other) => other.name === name) !== index)
      throw ssmFailures.documentContent(`Invalid document: two steps have the name ${name}.`);
    if (finallyStep && index !== steps.length - 1)
      throw ssmFailures.documentContent(
        `Invalid document: finallyStep is for the last step alone, and ${name} is not.`,
      );
  }
  return steps;
}

function parseStep(value: Json, what: string): DocumentStep {
  const step = asObject(value, what);
  demandKnown(step, ['action', 'name', 'precondition', 'inputs'], what);
  const action = asText(memberOf(step, 'action'), `${what}.action`);
  const name = asText(memberOf(step, 'name'), `${what}.name`);
  if (!ACTION.test(action))
    throw ssmFailures.documentContent(`Invalid document: ${what}.action is no action.`);
  if (!NAME.test(name))
    throw ssmFailures.documentContent(
      `Invalid document: ${what}.name has 1 to 128 letters, digits, - and _.`,
    );
  const all = asObject(memberOf(step, 'inputs') ?? {}, `${what}.inputs`);
  const { onFailure, onSuccess, finallyStep, ...inputs } = all;
  return {
    action,
    name,
    platform: platformOf(memberOf(step, 'precondition'), `${what}.precondition`),
    inputs,
    onFailure: oneOf(onFailure, ['exit', 'successAndExit'], `${what}.inputs.onFailure`),
    onSuccess: oneOf(onSuccess, ['exit'], `${what}.inputs.onSuccess`),
    finallyStep: isTrue(finallyStep, `${what}.inputs.finallyStep`),
  };
}

/** `{"StringEquals": ["platformType", "Linux"]}`. */
function platformOf(value: Json | undefined, what: string): string | undefined {
  if (value === undefined) return undefined;
  const condition = asObject(value, what);
  demandKnown(condition, ['StringEquals'], what);
  const [key, platform, ...more] = asList(memberOf(condition, 'StringEquals'), `${what}.StringEquals`);
  if (
    key !== 'platformType' ||
    more.length > 0 ||
    typeof platform !== 'string' ||
    !PLATFORMS.includes(platform)
  )
    throw ssmFailures.documentContent(
      `Invalid document: ${what}.StringEquals compares platformType with ${PLATFORMS.join(', ')} alone.`,
    );
  return platform;
}

function textOf(object: JsonObject, key: string, what: string): string {
  const value = memberOf(object, key);
  return value === undefined ? '' : asText(value, what);
}

function oneOf<T extends string>(value: Json | undefined, words: readonly T[], what: string): T | undefined {
  if (value === undefined) return undefined;
  const word = words.find((each) => each === value);
  if (word === undefined)
    throw ssmFailures.documentContent(`Invalid document: ${what} is one of ${words.join(', ')}.`);
  return word;
}

function isTrue(value: Json | undefined, what: string): boolean {
  if (value === undefined || value === false || value === 'false') return false;
  if (value === true || value === 'true') return true;
  throw ssmFailures.documentContent(`Invalid document: ${what} is true or false.`);
}
