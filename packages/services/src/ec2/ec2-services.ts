/** The context of EC2 with what is made of it once: for its operations, and for services that do what they do. */
import { Pages } from '@rokka/gateway';
import { RecordStore } from '../record-store.ts';
import type { Ec2Context, Ec2Services } from './ec2-context.ts';
import { Ec2Keeper } from './ec2-keeper.ts';

const SECRET_BYTES = 32;

/** Tokens of lists count as long as the process runs that gave them. */
export const ec2ServicesOf = (context: Ec2Context): Ec2Services => ({
  ...context,
  store: new RecordStore({ ...context, service: 'ec2' }),
  keeper: new Ec2Keeper(context),
  pages: new Pages({ secret: Buffer.from(context.random.hex(SECRET_BYTES), 'hex') }),
});
