/** The protocol, pure: no clock, socket, disk or random number in this package. */
export * from './record.ts';
