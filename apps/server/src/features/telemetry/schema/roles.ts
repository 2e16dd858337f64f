import type pg from 'pg';
import { INGEST_ROLE, READER_ROLE } from './settings.js';

const ALREADY_THERE = new Set(['42710', '23505']);
/** Tables that ingest changes in place; everything else it may only read and add to. */
const UPDATED_BY_INGEST = ['ledger', 'stack', 'name', 'tally', 'writer'];
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
    await client.query(`GRANT USAGE ON SCHEMA public TO ${INGEST_ROLE}`);
    for (const grant of await missingGrants(client)) await client.query(grant);
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

/**
 * Only what is missing, since each GRANT leaves a dead row in the catalogue. Partitions need none: rows come and go
 * through their table.
 */
async function missingGrants(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ grant: string }>(
    `WITH relations AS (
       SELECT oid, format('telemetry.%I', relname) AS name, relkind <> 'v' AS stored, relname = ANY ($1) AS updated
       FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
     ), wanted AS (
       SELECT oid, name, $3 AS role, 'SELECT' AS rights FROM relations
       UNION ALL SELECT oid, name, $4, 'SELECT' FROM relations WHERE stored
       UNION ALL SELECT oid, name, $4, 'INSERT' FROM relations WHERE stored
       UNION ALL SELECT oid, name, $4, 'UPDATE' FROM relations WHERE updated
       UNION ALL SELECT to_regclass(name), name, $4, 'SELECT' FROM unnest($2::text[]) AS name
     )
     SELECT format('GRANT %s ON %s TO %I', rights, name, role) AS grant FROM wanted
     WHERE oid IS NOT NULL AND NOT has_table_privilege(role, oid, rights)`,
    [UPDATED_BY_INGEST, READ_BY_INGEST, READER_ROLE, INGEST_ROLE],
  );
  return rows.map(({ grant }) => grant);
}
