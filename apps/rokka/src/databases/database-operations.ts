/** What `rokka database` asks of the running supervisor: wishes, written down. The controller carries them out. */
import type { DatabaseEngine, Databases } from '@rokka/databases';
import type { DatabaseRequest } from '../commands/database.ts';

/** @throws what the methods of `Databases` throw */
export async function operateDatabase(
  request: DatabaseRequest,
  of: { databases: Databases; engine: DatabaseEngine },
): Promise<void> {
  const { databases, engine } = of;
  switch (request.action) {
    case 'list':
      return;
    case 'create':
      await databases.create({ ...request.database, engine });
      return;
    case 'stop':
      await databases.setDesired(request.name, 'stopped');
      return;
    case 'start':
      await databases.setDesired(request.name, 'running');
      return;
    case 'restart':
      await databases.restart(request.name);
      return;
    case 'retain': {
      const { name, retentionDays } = request;
      await databases.change(name, { retentionDays });
      // Its head begins to archive when it begins.
      await databases.restart(name);
      return;
    }
    case 'delete':
      await databases.setDesired(request.name, 'deleted');
      return;
  }
}
