/** What tells one content of a document from another. */
import { createHash } from 'node:crypto';

/** SHA-256 in hexadecimal. */
export const contentHash = (content: string) => createHash('sha256').update(content).digest('hex');
