import pg from 'pg';
import { INGEST_ROLE } from '../../telemetry/index.js';

/** The telemetry schema is not there yet: the role that makes it has not started. */
export class StoreNotReadyError extends Error {
  override readonly name = 'StoreNotReadyError';
  readonly code = 'STORE_NOT_READY';
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * The writer's one connection, with the rights of the ingest role where there is one. Its errors come out of the queries;
 * `onLost` is called when it ends by itself.
 * @throws StoreNotReadyError, or what connecting throws
 */
export async function connectWriter(
  databaseUrl: string,
  statementTimeoutMs: number,
  say: (line: string) => void,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'bpfleet-ingest',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
  });
  // An end between two queries has nobody to tell; the next query fails and says it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    // An acknowledged batch is deleted by its device, so COMMIT must mean "on disk" whatever the server's default is.
    await client.query('SET synchronous_commit = on');
    await assertReady(client);
    await takeRole(client, say);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

async function assertReady(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ ready: boolean }>(
    `SELECT to_regclass('telemetry.event_column') IS NOT NULL AND to_regclass('"Run"') IS NOT NULL AS ready`,
  );
  if (!rows[0]?.ready) throw new StoreNotReadyError('the telemetry schema has not been made yet');
}

/** Less than the owner's rights: no DDL, no reading of users or keys. */
async function takeRole(client: pg.Client, say: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ usable: boolean }>(
    `SELECT pg_has_role(current_user, oid, 'MEMBER') AND has_table_privilege(oid, 'telemetry.ledger', 'UPDATE')
       AND has_table_privilege(oid, '"Run"', 'SELECT') AS usable
     FROM pg_roles WHERE rolname = $1`,
    [INGEST_ROLE],
  );
  if (rows[0]?.usable) await client.query(`SET ROLE ${INGEST_ROLE}`);
  else say(`there is no usable role ${INGEST_ROLE}: ingest works with the rights of its connection`);
}

interface Wire {
  readonly connection: { readonly stream: { destroy(error?: Error): void } };
}

/** Cuts a connection without a word: PostgreSQL rolls back what was open, and whoever waits for an answer gets an error. */
export function cutConnection(client: pg.Client, reason: string): void {
  (client as unknown as Wire).connection.stream.destroy(new Error(reason));
}

/** Runs `work`; a connection that says nothing for `timeoutMs` (a cable was pulled) is cut, which ends `work` with an error. */
export async function withDeadline<T>(client: pg.Client, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => cutConnection(client, `PostgreSQL did not answer within ${timeoutMs} ms`), timeoutMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
