/** Answers in XML: written by the SDK's serializer, inside an envelope of ours. */
import { XmlShapeSerializer } from '@aws-sdk/core/protocols';
import type { StaticStructureSchema } from '@smithy/types';
import { TIMESTAMP } from './timestamp.ts';

export const XML_HEADERS = { 'content-type': 'text/xml;charset=UTF-8' };

export function writeXml(
  schema: StaticStructureSchema,
  value: Record<string, unknown>,
  xmlNamespace: string | undefined,
): string {
  const serializer = new XmlShapeSerializer({
    timestampFormat: { useTrait: true, default: TIMESTAMP.dateTime },
    httpBindings: false,
    serviceNamespace: 'rokka.gateway',
    // An empty one is left out.
    xmlNamespace: xmlNamespace ?? '',
  });
  serializer.write(schema, value);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${withoutControls(String(serializer.flush()))}`;
}

/** XML 1.0 has no way to write these, escaped or not: they would make the whole answer unreadable. */
function withoutControls(xml: string): string {
  return xml.replace(
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|&#x(?:[0-8bcef]|1[0-9a-f]);/gi,
    '\ufffd',
  );
}
