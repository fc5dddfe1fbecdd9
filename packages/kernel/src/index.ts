/** The ground floor: what every other package stands on, and nothing of the domain. */
export { assert, must, unreachable, AssertionError } from './assert.ts';
export { bytesEqual, ByteReader, ByteWriter } from './codec.ts';
export { crc32 } from './checksum.ts';
export { systemClock, type Clock } from './clock.ts';
export { settled, VirtualClock } from './virtual-clock.ts';
export { ProcessClock } from './process-clock.ts';
export { mutant, withMutants } from './mutants.ts';
export { defineErrors, isCoded, describeError, CodedError, type ErrorTable } from './errors.ts';
export { kernelErrors } from './kernel-errors.ts';
export { BoundedQueue } from './queue.ts';
export { deadline, Deferred } from './wait.ts';
export { systemRandom, SeededRandom, type Random } from './random.ts';
export { systemDisk, type Disk, type DiskFile } from './disk.ts';
export { machineMemoryBytes } from './machine-memory.ts';
export { MemoryDisk } from './memory-disk.ts';
export { PAGE_SIZE, asEpoch, asLsn, asPageNumber, asPgIndex } from './brands.ts';
export type { Brand, Epoch, Lsn, NodeId, PageNumber, PgIndex, VolumeId, Zone } from './brands.ts';
export { joinNeighbours } from './views.ts';
