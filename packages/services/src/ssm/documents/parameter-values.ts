/** What a caller gives for the parameters of a document, checked against what the document says of them. */
import { ssmFailures } from '../ssm-failures.ts';
import { firstMismatch } from './allowed-pattern.ts';
import type { DocumentModel, ParameterDefinition, ParameterValues } from './document-model.ts';

type Definitions = DocumentModel['parameters'];

const NONE: readonly string[] = [];

/**
 * Each parameter's value, given or default.
 * @throws InvalidParameters
 */
export function checkedParameters(parameters: Definitions, given: ParameterValues = {}): ParameterValues {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(parameters, name))
      throw ssmFailures.parameters(
        `Parameter "${name.slice(0, 64)}" is not defined in the document: you can only supply values to parameters that are.`,
      );
  const names = Object.keys(parameters);
  const missing = names.filter((name) => !Object.hasOwn(given, name) && !parameters[name].default);
  if (missing.length > 0)
    throw ssmFailures.parameters(`Missing required parameters: [${missing.join(', ')}]`);
  const wrong = firstWrong(parameters, given);
  if (wrong) throw ssmFailures.parameters(`Parameter "${wrong.name}" ${wrong.why}.`);
  return Object.fromEntries(
    names.map((name) => [
      name,
      Object.hasOwn(given, name) ? given[name] : (parameters[name].default ?? NONE),
    ]),
  );
}

/** A default that is not allowed would fail whoever relies on it. @throws InvalidDocumentContent */
export function checkDefaults(parameters: Definitions): void {
  const defaults = Object.fromEntries(
    Object.entries(parameters).flatMap(([name, { default: values }]) => (values ? [[name, values]] : [])),
  );
  const wrong = firstWrong(parameters, defaults);
  if (wrong)
    throw ssmFailures.documentContent(
      `Invalid document: the default of parameters.${wrong.name} ${wrong.why}.`,
    );
}

/** @param values of parameters that there are */
function firstWrong(
  parameters: Definitions,
  values: ParameterValues,
): { name: string; why: string } | undefined {
  const given = Object.entries(values).map(([name, of]) => ({ name, values: of, ...parameters[name] }));
  for (const { name, values: of, ...definition } of given) {
    const why = whyNot(definition, of);
    if (why !== undefined) return { name, why };
  }
  const mismatch = firstMismatch(
    given.flatMap(({ name, values: of, allowedPattern: pattern }) =>
      pattern === undefined ? [] : [{ name, pattern, values: of }],
    ),
  );
  if (!mismatch) return undefined;
  return { name: mismatch.name, why: `has a value that does not match ${mismatch.pattern.slice(0, 200)}` };
}

/** Undefined where the values are allowed. */
function whyNot(definition: ParameterDefinition, values: readonly string[]): string | undefined {
  const { type, allowedValues, minChars, maxChars, minItems, maxItems } = definition;
  if (type === 'String' && values.length !== 1) return `is a String and has ${values.length} values`;
  if (values.length < minItems || values.length > maxItems)
    return `has ${values.length} items, and must have ${minItems} to ${maxItems}`;
  if (values.some(({ length }) => length < minChars || length > maxChars))
    return `must have ${minChars} to ${maxChars} characters`;
  if (allowedValues && !values.every((value) => allowedValues.includes(value)))
    return `has a value that is not one of [${allowedValues.join(', ').slice(0, 200)}]`;
  return undefined;
}
