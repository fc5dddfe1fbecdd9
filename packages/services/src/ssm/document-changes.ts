/** Documents are made and changed: each by one write of one record. */
import type { Scope } from '../scope.ts';
import { contentHash } from './documents/content-hash.ts';
import { RESERVED_PREFIXES } from './documents/builtin-documents.ts';
import { parseDocument } from './documents/document-parsing.ts';
import { type Document, findDocument, isDocumentName, latestOf } from './document-lookup.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { type DocumentRecord, type DocumentVersionRecord, recordKeys } from './ssm-records.ts';

/** All versions are in one record. */
const VERSIONS_BYTES_MAX = 1024 * 1024;
/** AWS's limits. */
export const DOCUMENTS_MAX = 500;
const VERSIONS_MAX = 1000;
const VERSION_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;

/** A name that one's own document may have. @throws ValidationException */
export function checkedNewName(name: string): string {
  if (!isDocumentName(name))
    throw ssmFailures.invalid(
      `Name ${name.slice(0, 128)} is not valid: it has 3 to 128 letters, digits, dots, - and _.`,
    );
  if (RESERVED_PREFIXES.test(name))
    throw ssmFailures.invalid(
      `Name ${name} is not valid: names that begin with aws, amazon or amzn are reserved.`,
    );
  return name;
}

/** @throws InvalidDocumentContent, InvalidDocumentSchemaVersion, MaxDocumentSizeExceeded, ValidationException */
export function newVersion(
  { clock }: SsmServices,
  of: { content: string; format: string | undefined; versionName: string | undefined },
): Omit<DocumentVersionRecord, 'version'> {
  const { content, format = 'JSON', versionName } = of;
  if (format !== 'JSON')
    throw ssmFailures.documentContent(`A document in ${format} is not supported here: write it in JSON.`);
  if (versionName !== undefined && !VERSION_NAME.test(versionName))
    throw ssmFailures.invalid('VersionName has 1 to 128 letters, digits, dots, - and _.');
  parseDocument(content);
  return {
    ...(versionName !== undefined && { versionName }),
    createdAtMs: clock.wallMs(),
    content,
    hash: contentHash(content),
  };
}

/**
 * @param of.text its name or ARN
 * @throws InvalidDocument, InvalidDocumentOperation for one of Amazon's, and what `change` throws
 */
export async function changeDocument(
  services: SsmServices,
  scope: Scope,
  of: { text: string; change: (found: DocumentRecord) => DocumentRecord | undefined },
): Promise<Document> {
  const document = await findDocument(services, scope, of.text);
  const { name, isBuiltin } = document;
  if (isBuiltin)
    throw ssmFailures.documentOperation(`The document ${name} is Amazon's, and cannot be changed.`);
  const { value } = await services.store.change<DocumentRecord>(recordKeys.document(scope, name), (found) => {
    if (!found) throw ssmFailures.noDocument(name);
    return of.change(found);
  });
  return { ...document, ...value };
}

/** @throws DuplicateDocumentContent, DuplicateDocumentVersionName, DocumentVersionLimitExceeded */
export function withVersion(
  found: DocumentRecord,
  added: Omit<DocumentVersionRecord, 'version'>,
): DocumentRecord {
  const { versions } = found;
  if (latestOf(found).hash === added.hash) throw ssmFailures.sameContent();
  const { versionName } = added;
  if (versionName !== undefined && versions.some((each) => each.versionName === versionName))
    throw ssmFailures.versionNameTaken(versionName);
  const made = found.made + 1;
  const all = [...versions, { ...added, version: made }];
  const bytes = all.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  if (all.length > VERSIONS_MAX || bytes > VERSIONS_BYTES_MAX)
    throw ssmFailures.versionLimit(
      `The document has too many versions: ${VERSIONS_MAX}, of 1 MiB together, are allowed. Delete some.`,
    );
  return { ...found, versions: all, made };
}

/** Its default cannot go. @throws InvalidDocumentOperation */
export function withoutVersion(found: DocumentRecord, version: number): DocumentRecord {
  if (version === found.byDefault)
    throw ssmFailures.documentOperation(
      `Version ${version} is the default of ${found.name}: make another one the default, or delete the document.`,
    );
  return { ...found, versions: found.versions.filter((each) => each.version !== version) };
}
