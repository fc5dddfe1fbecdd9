/** `rokka doctor`: what this machine lacks, and how to get it. Exit status 0 where everything can run. */
import * as fs from 'node:fs';
import { describeError, systemClock } from '@rokka/kernel';
import { findPostgres, probeNativeSupport } from '@rokka/databases';
import type { Arguments } from '../arguments.ts';
import { readIdentity } from '../data-directory.ts';
import { Terminal } from '../terminal.ts';

const NODE_MAJOR_MIN = 24;
const FREE_BYTES_MIN = 2 * 1024 ** 3;

interface Finding {
  readonly good: boolean;
  /** Missing it is no obstacle to a start. */
  readonly optional?: boolean;
  readonly text: string;
}

export async function doctor(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const findings = [node(), await native(), await postgres(args), disk(args), data(args)];
  for (const { good, optional, text } of findings) {
    terminal.line(`${good ? 'good   ' : optional ? 'note   ' : 'MISSING'}  ${text}`);
  }
  return findings.every(({ good, optional }) => good || optional) ? 0 : 1;
}

function node(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  const good = major >= NODE_MAJOR_MIN;
  return {
    good,
    text: `Node ${process.versions.node}${good ? '' : `: at least ${NODE_MAJOR_MIN} is needed; npm start brings it along`}`,
  };
}

async function native(): Promise<Finding> {
  const startedMs = systemClock.nowMs();
  const support = await probeNativeSupport();
  const tookMs = Math.round(systemClock.nowMs() - startedMs);
  if (support.possible)
    return { good: true, text: `native engine: a mount in a private namespace works (${tookMs} ms)` };
  const why = support.reasons.map(({ code, message }) => `${code}: ${message}`).join('; ');
  return { good: false, optional: true, text: `native engine: ${why}. The pglite engine is used instead` };
}

async function postgres(args: Arguments): Promise<Finding> {
  try {
    const found = await findPostgres(args.postgres === undefined ? {} : { directory: args.postgres });
    return { good: true, text: `PostgreSQL ${found.version} in ${found.binDirectory}` };
  } catch (error) {
    return { good: false, optional: args.postgres === undefined, text: describeError(error) };
  }
}

function disk(args: Arguments): Finding {
  let directory = args.dataDirectory;
  while (!fs.existsSync(directory)) directory = directory.slice(0, directory.lastIndexOf('/')) || '/';
  const { bavail, bsize } = fs.statfsSync(directory);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${args.dataDirectory}`;
  return {
    good: free >= FREE_BYTES_MIN,
    text: free >= FREE_BYTES_MIN ? text : `${text}: at least 2 GiB, please`,
  };
}

function data(args: Arguments): Finding {
  try {
    const cluster = readIdentity(args.dataDirectory)?.cluster;
    return {
      good: true,
      text: cluster ? `data directory of cluster ${cluster}` : `${args.dataDirectory} is free to use`,
    };
  } catch (error) {
    return { good: false, text: describeError(error) };
  }
}
