/** What a server that starts says in its log about the recovery that it had to do (xlogrecovery.c, xlog.c; messages in English). */

export interface Recovery {
  /** It was not shut down; so it is with every copy of a running server. */
  readonly interrupted: boolean;
  /** WAL that was read, in bytes; 0 where redo was not required. */
  readonly redoBytes: number;
  readonly ready: boolean;
  /** The first PANIC or FATAL. */
  readonly failure: string | undefined;
}

export function parseRecovery(log: string): Recovery {
  const starts = /redo starts at ([0-9A-F]+\/[0-9A-F]+)/.exec(log)?.[1];
  const done = /redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(log)?.[1];
  const redoBytes = starts === undefined || done === undefined ? 0 : Number(lsn(done) - lsn(starts));
  return {
    interrupted: /was interrupted|not properly shut down/.test(log),
    redoBytes,
    ready: log.includes('ready to accept connections'),
    failure: /(?:PANIC|FATAL): .*/.exec(log)?.[0],
  };
}

function lsn(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
