/** The parameters that a document says it has. */
import { ssmFailures } from '../ssm-failures.ts';
import type { Json, ParameterDefinition } from './document-model.ts';
import { asCount, asObject, asText, asTexts, demandKnown, memberOf } from './json-shape.ts';
import { demandPattern } from './allowed-pattern.ts';

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const PARAMETERS_MAX = 100;
const MEMBERS = [
  'type',
  'description',
  'default',
  'allowedValues',
  'allowedPattern',
  'displayType',
  'minChars',
  'maxChars',
  'minItems',
  'maxItems',
];

/** @throws InvalidDocumentContent */
export function parseParameters(value: Json): Record<string, ParameterDefinition> {
  const definitions = Object.entries(asObject(value, 'parameters'));
  if (definitions.length > PARAMETERS_MAX)
    throw ssmFailures.documentContent(`Invalid document: it has more than ${PARAMETERS_MAX} parameters.`);
  for (const [name] of definitions)
    if (!NAME.test(name) || name === '__proto__')
      throw ssmFailures.documentContent(
        `Invalid document: a parameter's name has 1 to 64 letters, digits, - and _: ${name.slice(0, 64)}.`,
      );
  return Object.fromEntries(
    definitions.map(([name, definition]) => [name, parseParameter(definition, `parameters.${name}`)]),
  );
}

function parseParameter(value: Json, what: string): ParameterDefinition {
  const given = asObject(value, what);
  demandKnown(given, MEMBERS, what);
  const type = asText(memberOf(given, 'type'), `${what}.type`);
  if (type !== 'String' && type !== 'StringList')
    throw ssmFailures.documentContent(
      `Invalid document: ${what}.type is String or StringList, as documents of commands have it.`,
    );
  const description = memberOf(given, 'description') ?? '';
  const fallback = memberOf(given, 'default');
  const values = memberOf(given, 'allowedValues');
  const pattern = memberOf(given, 'allowedPattern');
  const count = (key: string) => asCount(memberOf(given, key), `${what}.${key}`);
  return {
    type,
    description: asText(description, `${what}.description`),
    default: fallback === undefined ? undefined : defaultOf(fallback, type, `${what}.default`),
    allowedValues: values === undefined ? undefined : asTexts(values, `${what}.allowedValues`),
    allowedPattern: pattern === undefined ? undefined : patternOf(pattern, what),
    minChars: count('minChars') ?? 0,
    maxChars: count('maxChars') ?? Infinity,
    minItems: count('minItems') ?? 0,
    maxItems: count('maxItems') ?? Infinity,
  };
}

const defaultOf = (value: Json, type: ParameterDefinition['type'], what: string): string[] =>
  type === 'String' ? [asText(value, what)] : asTexts(value, what);

function patternOf(value: Json, what: string): string {
  const pattern = asText(value, `${what}.allowedPattern`);
  demandPattern(pattern, what);
  return pattern;
}
