/** The context of SSM with what is made of it once: for its operations, and for services that do what they do. */
import { Pages } from '@rokka/gateway';
import { RecordStore } from '../record-store.ts';
import type { SsmContext, SsmServices } from './ssm-context.ts';

const SECRET_BYTES = 32;

/** Tokens of lists count as long as the process runs that gave them. */
export const ssmServicesOf = (context: SsmContext): SsmServices => ({
  ...context,
  store: new RecordStore({ ...context, service: 'ssm' }),
  pages: new Pages({ secret: Buffer.from(context.random.hex(SECRET_BYTES), 'hex') }),
});
