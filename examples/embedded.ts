/** A durable Postgres inside a Node program, on six copies: node examples/embedded.ts [data directory] */
import { openRokka } from 'rokka';

await using db = await openRokka({
  dataDirectory: process.argv[2] ?? '.rokka-example',
  onProgress: console.log,
});
await db.exec('create table if not exists snow (id serial primary key, note text)');
const { rows } = await db.query<{ id: number }>('insert into snow (note) values ($1) returning id', [
  'six copies',
]);
console.log(`row ${rows[0]?.id} lies on four of six copies`);

await db.transaction(async (transaction) => {
  await transaction.query('update snow set note = note || $1 where id = $2', ['!', rows[0]?.id]);
});
const { volume } = await db.status();
console.log(
  `durable up to LSN ${volume.vdl}, on ${volume.groups[0]?.members.filter((member) => member.up).length} nodes`,
);
