/**
 * What a machine that joined says to the desk, beside asking for certificates (trust/renewal.ts, types 1 to 3): who it is
 * now, again and again for as long as it runs. Bodies are JSON.
 */
import { ByteReader, ByteWriter, isCoded, type CodedError } from '@rokka/kernel';
import { STORAGE_PROTOCOL } from '@rokka/storage';

export const DESK = {
  REGISTER: 10,
  REGISTERED: 11,
  REFUSED: 12,
  /** Of the head of one volume: heads/head-calls.ts. */
  CALL: 20,
  ANSWERED: 21,
  /** Of a machine: a certificate for the head of one volume. */
  CERTIFY: 22,
  CERTIFIED: 23,
  /** Of a machine, what heads it has; and what it shall have: heads/head-orders.ts. */
  HEADS: 24,
  ORDERS: 25,
  /** Of the desk: something is asked of a head; and its answer. */
  ASK: 26,
  ASKED: 27,
} as const;
/** Between two registrations of a machine. */
export const REGISTER_EVERY_MS = 3_000;

export interface Registration {
  readonly protocol: number;
  /** Where its storage node listens, `host:port`. */
  readonly address: string;
  /** Drawn anew at each start: two that differ are two processes. */
  readonly instance: string;
}

export interface Registered {
  readonly ordinal: number;
  readonly zone: string;
  readonly leaving: boolean;
}

/** What a machine hears that is to run the database. */
export interface HeadAdmission {
  /** Of the user postgres: the database was made with it. */
  readonly password: string;
}

/** Of those who make the cluster: the storage protocol decides who can take part. */
export const PROTOCOL = STORAGE_PROTOCOL;

export const encodeJson = (value: unknown): Uint8Array =>
  new ByteWriter().string(JSON.stringify(value)).finish();

/** An object; undefined where it is none. */
export function decodeAnswer(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const said: unknown = JSON.parse(new ByteReader(body).string());
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where it has another form. */
export function decodeRegistration(body: Uint8Array): Registration | undefined {
  const { protocol, address, instance } = decodeAnswer(body) ?? {};
  const sound =
    typeof protocol === 'number' &&
    typeof address === 'string' &&
    typeof instance === 'string' &&
    address.length <= 300 &&
    instance.length <= 64;
  return sound ? { protocol, address, instance } : undefined;
}

export const encodeRefusal = ({ code, message }: CodedError): Uint8Array => encodeJson({ code, message });

/** What the desk says about errors of its own affairs goes into its own log alone. */
export const isForMember = (error: unknown): error is CodedError =>
  isCoded(error) && error.code.startsWith('ROKKA_');
