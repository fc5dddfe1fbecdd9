/** Clients that insert numbered rows and keep count of what was acknowledged. */
import type { Client } from 'pg';
import { must } from '@rokka/kernel';
import { ClientLoad } from './client-load.ts';

export class InsertLoad extends ClientLoad {
  static async start(connect: () => Promise<Client>, clients: number): Promise<InsertLoad> {
    const connected = await ClientLoad.connected(connect, clients);
    await must(connected[0]).query('CREATE TABLE load (id bigserial PRIMARY KEY, filler text)');
    return new InsertLoad(connected, (client) =>
      client.query("INSERT INTO load (filler) VALUES (repeat('x', 100))"),
    );
  }

  /** Rows in what was restored. */
  static async found(client: Client): Promise<number> {
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM load');
    await client.end();
    return must(rows[0]).count;
  }
}
