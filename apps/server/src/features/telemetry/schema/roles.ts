import type pg from 'pg';
import { INGEST_ROLE, READER_ROLE } from './settings.js';

const ALREADY_THERE = new Set(['42710', '23505']);
/** Tables that ingest changes in place; everything else it may only read and add to. */
const UPDATED_BY_INGEST = ['ledger', 'stack', 'name', 'tally'];
const READ_BY_INGEST = ['"Run"', '"Release"', '"Device"'];

/**
 * Makes the two roles and grants them what they need: ingest may add rows and never change tables, people read. Roles
 * belong to the whole cluster, so another database may have made them already.
 * @returns why there are no roles, or undefined when all is granted
 */
export async function grantRoles(client: pg.ClientBase): Promise<string | undefined> {
  const refusal = (await makeRole(client, INGEST_ROLE)) ?? (await makeRole(client, READER_ROLE));
  if (refusal !== undefined) return refusal;
  try {
    // Asked first: two servers that grant the same membership at once would fail one another.
    const { rows } = await client.query<{ member: boolean }>(
      `SELECT pg_has_role(current_user, '${INGEST_ROLE}', 'MEMBER') AS member`,
    );
    if (!rows[0]?.member) await client.query(`GRANT ${INGEST_ROLE} TO CURRENT_USER`);
    await client.query(`GRANT USAGE ON SCHEMA telemetry TO ${INGEST_ROLE}, ${READER_ROLE}`);
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA telemetry TO ${INGEST_ROLE}, ${READER_ROLE}`);
    await client.query(`GRANT USAGE ON SCHEMA public TO ${INGEST_ROLE}`);
    for (const table of await grantable(client)) await client.query(grantOf(table));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function makeRole(client: pg.ClientBase, role: string): Promise<string | undefined> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  if (rowCount) return undefined;
  try {
    await client.query(`CREATE ROLE ${role} NOLOGIN`);
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    if (!ALREADY_THERE.has(code ?? '')) return message;
  }
  return undefined;
}

/** Tables of the telemetry schema (not partitions: COPY goes through their table) and those of the control plane. */
async function grantable(client: pg.ClientBase): Promise<{ name: string; control: boolean }[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'telemetry'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`,
  );
  const control = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS t (name) WHERE to_regclass(name) IS NOT NULL',
    [READ_BY_INGEST],
  );
  return [
    ...rows.map(({ name }) => ({ name, control: false })),
    ...control.rows.map(({ name }) => ({ name, control: true })),
  ];
}

function grantOf({ name, control }: { name: string; control: boolean }): string {
  if (control) return `GRANT SELECT ON ${name} TO ${INGEST_ROLE}`;
  const rights = UPDATED_BY_INGEST.includes(name) ? 'SELECT, INSERT, UPDATE' : 'SELECT, INSERT';
  return `GRANT ${rights} ON telemetry."${name}" TO ${INGEST_ROLE}`;
}
