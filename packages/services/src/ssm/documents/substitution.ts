/**
 * `{{ name }}` in the inputs of steps: a String goes into the text around it, a StringList takes the place of a whole value. It is done
 * once: what a value says is never looked through again.
 */
import { ssmFailures } from '../ssm-failures.ts';
import type { DocumentModel, DocumentStep, Json, JsonObject, ParameterValues } from './document-model.ts';

const PLACE = /\{\{\s*([a-zA-Z0-9_:/.-]+)\s*\}\}/g;
const WHOLE = /^\{\{\s*([a-zA-Z0-9_:/.-]+)\s*\}\}$/;
/** A name, and no text of another templating: `{{.Names}}` of `docker ps` stays. */
const NAME = /^[a-zA-Z0-9_-]+$/;
const ELSEWHERE = /^(ssm|ssm-secure|global|automation|resolve):/;

type Definitions = DocumentModel['parameters'];

/** @throws InvalidDocumentContent for a place that nothing fills */
export function demandParametersDefined(inputs: JsonObject, parameters: Definitions): void {
  walk(inputs, (text) => {
    const whole = WHOLE.exec(text)?.[1];
    for (const [, name] of text.matchAll(PLACE)) {
      if (ELSEWHERE.test(name))
        throw ssmFailures.documentContent(
          `Invalid document: {{ ${name.slice(0, 64)} }} is not supported here: there are parameters of the document alone.`,
        );
      if (!NAME.test(name)) continue;
      if (!Object.hasOwn(parameters, name))
        throw ssmFailures.documentContent(`Invalid document: {{ ${name} }} is no parameter of the document.`);
      if (parameters[name].type === 'StringList' && whole !== name)
        throw ssmFailures.documentContent(
          `Invalid document: {{ ${name} }} is a StringList, which can only be a whole value.`,
        );
    }
  });
}

/** The steps with the values in their places. */
export const resolveSteps = ({ steps, parameters }: DocumentModel, values: ParameterValues): DocumentStep[] =>
  steps.map((step) => ({ ...step, inputs: resolved(step.inputs, { parameters, values }) as JsonObject }));

interface Filling {
  readonly parameters: Definitions;
  readonly values: ParameterValues;
}

function resolved(value: Json, filling: Filling): Json {
  if (typeof value === 'string') return resolvedText(value, filling);
  // A list as an item of a list is its items: `runCommand: ["{{ commands }}"]`.
  if (Array.isArray(value)) {
    return (value as readonly Json[]).flatMap((each) => {
      const item = resolved(each, filling);
      return typeof each === 'string' && Array.isArray(item) ? (item as Json[]) : [item];
    });
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner, filling)]));
}

function resolvedText(text: string, { parameters, values }: Filling): Json {
  const whole = WHOLE.exec(text)?.[1];
  if (whole !== undefined && Object.hasOwn(parameters, whole) && parameters[whole].type === 'StringList')
    return values[whole];
  return text.replace(PLACE, (place, name: string) =>
    Object.hasOwn(parameters, name) ? (values[name][0] ?? '') : place,
  );
}

function walk(value: Json, look: (text: string) => void): void {
  if (typeof value === 'string') look(value);
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) walk(inner, look);
}
