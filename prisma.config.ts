import { defineConfig } from 'prisma/config';

// `generate` and `validate` need no database; migrations are applied by the server itself (platform/prisma/migrate).
export default defineConfig({ schema: 'prisma/schema.prisma' });
