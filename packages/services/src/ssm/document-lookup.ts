/** Documents by name and version: the caller's own, and Amazon's. */
import { must } from '@rokka/kernel';
import type { Scope } from '../scope.ts';
import { BUILTIN_DOCUMENTS } from './documents/builtin-documents.ts';
import { documentName } from './ssm-arns.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import {
  type DocumentRecord,
  type DocumentVersionRecord,
  recordKeys,
  recordPrefixes,
} from './ssm-records.ts';

export interface Document extends DocumentRecord {
  readonly isBuiltin: boolean;
}

/** When Amazon's are said to have been made: the day on which AWS told of the first of them. */
const BUILTIN_AT_MS = Date.UTC(2017, 10, 20);

const builtins: ReadonlyMap<string, Document> = new Map(
  [...BUILTIN_DOCUMENTS.values()].map(({ name, content, hash }) => [
    name,
    {
      name,
      createdAtMs: BUILTIN_AT_MS,
      versions: [{ version: 1, createdAtMs: BUILTIN_AT_MS, content, hash }],
      made: 1,
      byDefault: 1,
      isBuiltin: true,
    },
  ]),
);

export const isBuiltin = (name: string) => builtins.has(name);

/** @param text its name or ARN @throws InvalidDocument */
export async function findDocument(services: SsmServices, scope: Scope, text: string): Promise<Document> {
  const name = documentName(text, scope);
  const builtin = builtins.get(name);
  if (builtin) return builtin;
  const record = isDocumentName(name)
    ? await services.store.get<DocumentRecord>(recordKeys.document(scope, name))
    : undefined;
  if (!record) throw ssmFailures.noDocument(name);
  return { ...record, isBuiltin: false };
}

/** By name. */
export async function listDocuments({ store }: SsmServices, scope: Scope): Promise<Document[]> {
  const own = await store.list<DocumentRecord>(recordPrefixes.documents(scope));
  return [...own.map((each) => ({ ...each, isBuiltin: false })), ...builtins.values()].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

/** @param of.version `$DEFAULT`, which it is unless given, `$LATEST` or a number @throws InvalidDocumentVersion */
export function versionOf(
  document: DocumentRecord,
  of: { version?: string | undefined; versionName?: string | undefined } = {},
): DocumentVersionRecord {
  const { version = of.versionName === undefined ? '$DEFAULT' : undefined, versionName } = of;
  const found = document.versions.find(
    (each) =>
      (version === undefined || each.version === numberOf(document, version)) &&
      (versionName === undefined || each.versionName === versionName),
  );
  if (found) return found;
  throw ssmFailures.documentVersion(
    `The document ${document.name} has no version ${(version ?? versionName ?? '').slice(0, 64)}.`,
  );
}

function numberOf(document: DocumentRecord, version: string): number | undefined {
  if (version === '$LATEST') return latestOf(document).version;
  if (version === '$DEFAULT') return document.byDefault;
  return /^[1-9][0-9]{0,8}$/.test(version) ? Number(version) : undefined;
}

export const latestOf = ({ versions }: DocumentRecord) => must(versions.at(-1));

export const isDocumentName = (name: string) => /^[a-zA-Z0-9_.-]{3,128}$/.test(name);
