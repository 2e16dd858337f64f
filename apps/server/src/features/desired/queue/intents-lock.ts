import type pg from 'pg';

const INTENTS_LOCK = 0x696e7474;

/**
 * Who decides for a device holds this shared; who changes intents for many devices holds it alone, from before choosing
 * the devices until COMMIT. Otherwise a device whose labels change in that moment could be seen by neither. It is taken
 * before any row lock.
 */
export async function lockIntents(client: pg.PoolClient, mode: 'shared' | 'exclusive'): Promise<void> {
  const name = mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock';
  await client.query(`SELECT ${name}($1)`, [INTENTS_LOCK]);
}
