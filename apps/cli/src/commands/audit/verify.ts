import type { ApiClient } from '@bpfleet/api';
import { connect, type Invocation } from '../../connection.js';
import { CliError, exitCodes } from '../../exit-code.js';

/** An entry and its hash, which stands for all before it. */
export interface Head {
  readonly sequence: string;
  readonly hash: string;
}

/**
 * Asks the server to compute the whole chain again, part by part. A chain says nothing of entries that were cut off its end:
 * the last entry is printed, to be noted somewhere else and given as `--expect` another day.
 * @throws CliError AUDIT_BROKEN, AUDIT_CUT
 */
export async function verifyAudit(invocation: Invocation, expected: Head | undefined): Promise<void> {
  const client = await connect(invocation);
  let checked = 0;
  let last: Head | null = null;
  for (let after: string | undefined; ; after = last?.sequence) {
    const part = await client.call('verifyAudit', { query: { after } });
    checked += part.checked;
    last = part.last;
    if (part.broken !== null) throw broken(part.broken, checked);
    if (!part.more) break;
    invocation.printer.note(`${checked} entries so far`);
  }
  if (expected) await assertThere(client, expected);
  invocation.printer.result({ checked, last }, () => [
    last === null
      ? 'The audit log is empty.'
      : `All ${checked} entries follow from one another. The last: ${last.sequence}:${last.hash}`,
  ]);
}

async function assertThere(client: ApiClient, { sequence, hash }: Head): Promise<void> {
  const cursor = String(BigInt(sequence) + 1n);
  const { items } = await client.call('listAudit', { query: { cursor, limit: 1 } });
  if (items[0]?.sequence === sequence && items[0].hash === hash) return;
  throw new CliError(
    'AUDIT_CUT',
    `entry ${sequence} is not there with the hash that was noted: the log was cut off before it, or written anew`,
    exitCodes.failure,
    { sequence, found: items[0]?.sequence ?? null },
  );
}

function broken(sequence: string, checked: number): CliError {
  const message =
    `entry ${sequence} does not follow from the ${checked} before it: it was changed, or one before it was removed; ` +
    'compare it with a backup of the database';
  return new CliError('AUDIT_BROKEN', message, exitCodes.failure, { sequence, checked });
}
