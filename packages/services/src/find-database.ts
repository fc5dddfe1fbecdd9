/** A database by its name, where there is one. */
import type { DatabaseRecord, Databases } from '@rokka/databases';
import { isCoded } from '@rokka/kernel';

export async function findDatabase(databases: Databases, name: string): Promise<DatabaseRecord | undefined> {
  try {
    return await databases.get(name);
  } catch (error) {
    if (isCoded(error, 'DATABASE_NONE')) return undefined;
    throw error;
  }
}
