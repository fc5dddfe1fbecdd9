export { freePort, freePortRow, freePorts } from './free-port.ts';
