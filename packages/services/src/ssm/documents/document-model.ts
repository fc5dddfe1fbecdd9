/**
 * What a document of schemaVersion 2.2 says, once it is read. `parseDocument` makes one of text, `resolveSteps` one that an agent can
 * carry out.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html
 */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface DocumentModel {
  readonly description: string;
  readonly parameters: Readonly<Record<string, ParameterDefinition>>;
  /** One at least; names are unique. */
  readonly steps: readonly DocumentStep[];
}

export interface ParameterDefinition {
  readonly type: 'String' | 'StringList';
  readonly description: string;
  /** Undefined: it must be given. A String is a list of one. */
  readonly default: readonly string[] | undefined;
  readonly allowedValues: readonly string[] | undefined;
  /** A regular expression that each value matches somewhere. */
  readonly allowedPattern: string | undefined;
  readonly minChars: number;
  readonly maxChars: number;
  readonly minItems: number;
  readonly maxItems: number;
}

export interface DocumentStep {
  /** `aws:runShellScript`. */
  readonly action: string;
  readonly name: string;
  /** It is skipped elsewhere: `Linux`. */
  readonly platform: string | undefined;
  /** Without the four below. */
  readonly inputs: JsonObject;
  /** After a failure: end as failed, or as if all had gone well. Undefined: go on with the next step. */
  readonly onFailure: 'exit' | 'successAndExit' | undefined;
  /** `exit`: what follows is skipped. */
  readonly onSuccess: 'exit' | undefined;
  /** It runs however the others ended; only the last one may. */
  readonly finallyStep: boolean;
}

/** Values by name: a String is a list of one. */
export type ParameterValues = Readonly<Record<string, readonly string[]>>;
