/** Documents, as answers show them. */
import type { DocumentDescription, DocumentIdentifier } from '@aws-sdk/client-ssm';
import type { Scope } from '../scope.ts';
import { type Document, latestOf } from './document-lookup.ts';
import { parseDocument, SCHEMA_VERSION } from './documents/document-parsing.ts';
import type { DocumentModel } from './documents/document-model.ts';
import type { DocumentVersionRecord } from './ssm-records.ts';

export const ownerOf = ({ account }: Scope, { isBuiltin }: Document) => (isBuiltin ? 'Amazon' : account);

/** What all of them are. */
const KIND = {
  PlatformTypes: ['Linux' as const],
  DocumentType: 'Command' as const,
  DocumentFormat: 'JSON' as const,
  SchemaVersion: SCHEMA_VERSION,
};

const versionFacts = (document: Document, { version, versionName, createdAtMs }: DocumentVersionRecord) => ({
  Name: document.name,
  DocumentVersion: String(version),
  CreatedDate: new Date(createdAtMs),
  ...(versionName !== undefined && { VersionName: versionName }),
});

export function descriptionShape(
  scope: Scope,
  document: Document,
  version: DocumentVersionRecord,
): DocumentDescription {
  const model = parseDocument(version.content);
  return {
    ...versionFacts(document, version),
    ...KIND,
    Hash: version.hash,
    HashType: 'Sha256',
    Owner: ownerOf(scope, document),
    Status: 'Active',
    Description: model.description,
    Parameters: parameterShapes(model),
    LatestVersion: String(latestOf(document).version),
    DefaultVersion: String(document.byDefault),
    Tags: [],
  };
}

const parameterShapes = ({ parameters }: DocumentModel) =>
  Object.entries(parameters).map(([Name, { type, description, default: values }]) => ({
    Name,
    Type: type,
    Description: description,
    // A list is told as JSON, as it stands in the document.
    ...(values && { DefaultValue: type === 'String' ? values[0] : JSON.stringify(values) }),
  }));

export const identifierShape = (
  scope: Scope,
  document: Document,
  version: DocumentVersionRecord,
): DocumentIdentifier => ({
  ...versionFacts(document, version),
  ...KIND,
  Owner: ownerOf(scope, document),
  Tags: [],
});

export const contentShape = (document: Document, version: DocumentVersionRecord) => ({
  ...versionFacts(document, version),
  DocumentType: KIND.DocumentType,
  DocumentFormat: KIND.DocumentFormat,
  Status: 'Active' as const,
  Content: version.content,
});

export const versionShape = (document: Document, version: DocumentVersionRecord) => ({
  ...versionFacts(document, version),
  DocumentFormat: KIND.DocumentFormat,
  IsDefaultVersion: version.version === document.byDefault,
  Status: 'Active' as const,
});
