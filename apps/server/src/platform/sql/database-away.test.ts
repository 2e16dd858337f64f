import { describe, expect, it } from '@jest/globals';
import { createTestDatabase } from '@bpfleet/testkit';
import pg from 'pg';
import { Config, parseConfig } from '../../config/config.js';
import { PrismaService } from '../prisma/prisma.service.js';
import { isDatabaseAway } from './database-away.js';

// Port 1 is nobody's.
const NOWHERE = 'postgres://nobody@127.0.0.1:1/nothing';

function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('isDatabaseAway', () => {
  it('knows a database that nobody answers for, asked by pg or by Prisma', async () => {
    const client = new pg.Client({ connectionString: NOWHERE });
    expect(isDatabaseAway(await errorOf(client.connect()))).toBe(true);
    const config = parseConfig({ BPFLEET_DATABASE_URL: NOWHERE, BPFLEET_DATA_DIR: '/nowhere' }, '/nowhere');
    const prisma = new PrismaService(config as Config);
    expect(isDatabaseAway(await errorOf(prisma.user.count()))).toBe(true);
    await prisma.$disconnect();
  });

  it('knows a connection that was ended, and leaves errors of the question alone', async () => {
    const database = await createTestDatabase();
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      expect(isDatabaseAway(await errorOf(client.query('SELECT nonsense')))).toBe(false);
      expect(isDatabaseAway(await errorOf(client.query('SELECT pg_terminate_backend(pg_backend_pid())')))).toBe(true);
      expect(isDatabaseAway(await errorOf(client.query('SELECT 1')))).toBe(true);
      expect(isDatabaseAway(undefined)).toBe(false);
    } finally {
      await client.end().catch(() => undefined);
      await database.drop();
    }
  });
});
