import type { Prisma } from './generated/client.js';

/** What both kinds of transaction can do: that of pg as it is, that of Prisma through `sqlOf`. */
export interface SqlTransaction {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/**
 * Plain SQL inside an interactive transaction of Prisma. It needs the type of each column that it reads, and knows none for
 * `void`; text, numbers and JSON are safe.
 */
export function sqlOf(transaction: Prisma.TransactionClient): SqlTransaction {
  return {
    query: async (text, values = []) => ({ rows: await transaction.$queryRawUnsafe<unknown[]>(text, ...values) }),
  };
}
