import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module, type DynamicModule, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createClient, type ApiClient } from '@bpfleet/api';
import { createTestDatabase } from '@bpfleet/testkit';
import { parseConfig, type ServerConfig } from '../src/config/config.js';
import { AuditModule } from '../src/features/audit/log/index.js';
import { createHttpApplication } from '../src/http/http-server.js';
import { PlatformModule } from '../src/platform/platform.module.js';
import { migrate, readMigrations } from '../src/platform/prisma/migrate.js';

export const ADMIN_PASSWORD = 'correct horse battery';
const repositoryDir = join(import.meta.dirname, '../../..');

export interface TestApp {
  readonly app: NestFastifyApplication;
  readonly config: ServerConfig;
  readonly url: string;
  readonly databaseUrl: string;
  /** Without a token: only public routes. */
  readonly anonymous: ApiClient;
  /** A client with a new token of the admin; needs SessionModule among the features. */
  admin(): Promise<ApiClient>;
  stop(): Promise<void>;
}

@Module({})
class TestModule {
  static with(config: ServerConfig, features: readonly (Type | DynamicModule)[]): DynamicModule {
    return { module: TestModule, imports: [PlatformModule.with(config), AuditModule, ...features] };
  }
}

/** The platform on a real, empty, migrated database with the given features, listening on a free port. */
export async function startApp(
  features: readonly (Type | DynamicModule)[],
  environment: Record<string, string> = {},
): Promise<TestApp> {
  const database = await createTestDatabase();
  const dataDir = mkdtempSync(join(tmpdir(), 'bpfleet-server-'));
  const config = parseConfig(
    {
      BPFLEET_ROLES: 'api,control',
      BPFLEET_DATABASE_URL: database.url,
      BPFLEET_DATA_DIR: dataDir,
      BPFLEET_ADMIN_PASSWORD: ADMIN_PASSWORD,
      ...environment,
    },
    repositoryDir,
  );
  await migrate(database.url, readMigrations(join(repositoryDir, 'prisma/migrations')));
  const app = await createHttpApplication(TestModule.with(config, features), config, false);
  await app.listen(0, '127.0.0.1');
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  return {
    app,
    config,
    url,
    databaseUrl: database.url,
    anonymous: createClient({ baseUrl: url }),
    admin: () => adminClient(url),
    stop: async () => {
      await app.close();
      await database.drop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Logs in with the cookie as a browser does, and makes a token as the CLI does. */
async function adminClient(url: string): Promise<ApiClient> {
  const { cookie } = await logIn(url, ADMIN_PASSWORD);
  const response = await fetch(`${url}/api/tokens`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'test' }),
  });
  const { token } = (await response.json()) as { token: string };
  return createClient({ baseUrl: url, token });
}

export async function logIn(url: string, password: string): Promise<{ status: number; cookie: string; body: unknown }> {
  const response = await fetch(`${url}/api/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password }),
  });
  const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  return { status: response.status, cookie, body: await response.json() };
}
