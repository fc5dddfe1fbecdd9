/**
 * Numbers that must not be mixed up. A brand costs nothing at run time: the value stays a plain number or string.
 */
import { assert } from './assert.ts';

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Log sequence number: one per record, dense within a writer's life, never reused. 0 means "before the first record". */
export type Lsn = Brand<number, 'Lsn'>;
/** Page of a volume, counted from 0; pages are PAGE_SIZE bytes. */
export type PageNumber = Brand<number, 'PageNumber'>;
/** Protection group of a volume, counted from 0. */
export type PgIndex = Brand<number, 'PgIndex'>;
/** Volume, membership or geometry epoch, counted from 1. */
export type Epoch = Brand<number, 'Epoch'>;
/** A storage node's identity: made with its data directory, never reused by another directory. */
export type NodeId = Brand<string, 'NodeId'>;
export type VolumeId = Brand<string, 'VolumeId'>;
/** Failure zone, such as `a`, `b` or `c`. */
export type Zone = Brand<string, 'Zone'>;

/** Bytes in a page of a volume: PostgreSQL's own page size, so that one of its page writes is one record. */
export const PAGE_SIZE = 8192;

function counted(value: number, name: string): number {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${name} out of range: ${value}`);
  return value;
}

export const asLsn = (value: number): Lsn => counted(value, 'Lsn') as Lsn;
export const asPageNumber = (value: number): PageNumber => counted(value, 'PageNumber') as PageNumber;
export const asPgIndex = (value: number): PgIndex => counted(value, 'PgIndex') as PgIndex;
export const asEpoch = (value: number): Epoch => counted(value, 'Epoch') as Epoch;
