/** `rokka token …`: lets machines join. Asks the running supervisor of the machine that made the cluster. */
import type { TokenRecord } from '@rokka/trust';
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import { rokkaErrors } from '../errors.ts';
import type { TokenPurpose } from '../machines/desk.ts';
import type { TokenRequest } from '../machines/many-machines.ts';
import { table, Terminal } from '../terminal.ts';

export async function token(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const request = requestOf(args);
  const answer = await askControl<{ token?: string; tokens: readonly TokenRecord[] }>(
    args.dataDirectory,
    CONTROL.TOKEN,
    request,
  );
  if (args.json) terminal.line(JSON.stringify(answer));
  else if (request.action === 'list') terminal.line(describeTokens(answer.tokens));
  else if (request.action === 'revoke') terminal.line(`token ${request.id} lets nobody join any more`);
  // Alone on its line, for scripts; it is a secret until it is used.
  else terminal.line(answer.token);
  return 0;
}

function requestOf({ words, zone, node, hours, standby }: Arguments): TokenRequest {
  const [action = 'issue', id, ...rest] = words;
  const usage = rokkaErrors.ROKKA_BAD_FLAG([
    'rokka token --zone ZONE | --node N | --standby [--hours N], token list, token revoke ID',
  ]);
  if (rest.length > 0) throw usage;
  if (action === 'issue' && id === undefined) {
    const purposes: TokenPurpose[] = [];
    if (standby) purposes.push('standby');
    if (zone !== undefined) purposes.push({ zone });
    if (node !== undefined) purposes.push({ ordinal: node });
    const [purpose, another] = purposes;
    if (purpose && !another) return { action, for: purpose, hours };
  }
  if (action === 'list' && id === undefined) return { action };
  if (action === 'revoke' && id !== undefined) return { action, id };
  throw usage;
}

function describeTokens(tokens: readonly TokenRecord[]): string {
  const rows = tokens.map(({ tokenId, role, zone, expiresAtMs, revoked, usedBy }) => [
    tokenId,
    role,
    zone,
    new Date(expiresAtMs).toISOString(),
    revoked ? 'revoked' : usedBy ? `used by ${usedBy.id}` : 'open',
  ]);
  return table(['token', 'for', 'zone', 'until', 'state'], rows);
}
