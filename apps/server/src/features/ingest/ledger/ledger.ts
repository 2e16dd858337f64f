import type pg from 'pg';
import { emptyEntry, type LedgerEntry } from './settle.js';
import { RangeSet } from './range-set.js';

export interface LedgerKey {
  readonly device: string;
  readonly stream: string;
  readonly epoch: number;
}

interface LedgerRow {
  readonly device: string;
  readonly stream: string;
  readonly epoch: string;
  readonly settled: string;
  readonly lost: string;
  readonly refused: string;
}

export function ledgerKeyText({ device, stream, epoch }: LedgerKey): string {
  return `${device}/${stream}/${epoch}`;
}

/**
 * Locks the rows of `keys` until the transaction ends, making those that are missing, always in the same order: two
 * writers with the same batches wait for one another and never for ever.
 */
export async function lockLedger(client: pg.ClientBase, keys: readonly LedgerKey[]): Promise<Map<string, LedgerEntry>> {
  const values = columnsOf(keys);
  await client.query(
    `INSERT INTO telemetry.ledger (device, stream, epoch)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k (device, stream, epoch) ORDER BY 1, 2, 3
     ON CONFLICT DO NOTHING`,
    values,
  );
  const { rows } = await client.query<LedgerRow>(
    `SELECT l.device, l.stream, l.epoch, l.settled::text, l.lost::text, l.refused::text
     FROM telemetry.ledger l JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS k (device, stream, epoch)
       USING (device, stream, epoch)
     ORDER BY l.device, l.stream, l.epoch FOR UPDATE OF l`,
    values,
  );
  const entries = new Map(keys.map((key) => [ledgerKeyText(key), emptyEntry]));
  for (const row of rows) {
    entries.set(ledgerKeyText({ ...row, epoch: Number(row.epoch) }), {
      settled: RangeSet.parse(row.settled),
      lost: RangeSet.parse(row.lost),
      refused: RangeSet.parse(row.refused),
    });
  }
  return entries;
}

/** Writes entries whose rows are locked. */
export async function saveLedger(
  client: pg.ClientBase,
  entries: readonly { readonly key: LedgerKey; readonly entry: LedgerEntry }[],
): Promise<void> {
  await client.query(
    `UPDATE telemetry.ledger l
     SET settled = s.settled::int8multirange, lost = s.lost::int8multirange, refused = s.refused::int8multirange, updated_at = now()
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
       AS s (device, stream, epoch, settled, lost, refused)
     WHERE (l.device, l.stream, l.epoch) = (s.device, s.stream, s.epoch)`,
    [
      ...columnsOf(entries.map(({ key }) => key)),
      entries.map(({ entry }) => entry.settled.toString()),
      entries.map(({ entry }) => entry.lost.toString()),
      entries.map(({ entry }) => entry.refused.toString()),
    ],
  );
}

function columnsOf(keys: readonly LedgerKey[]): [string[], string[], number[]] {
  return [keys.map((key) => key.device), keys.map((key) => key.stream), keys.map((key) => key.epoch)];
}
