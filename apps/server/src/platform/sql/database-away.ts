/** Of node: nothing listens, the way is cut, nobody answers. */
const SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
]);
/** SQLSTATE: connection exceptions, shut down or starting, too many connections. */
const SQLSTATE = /^(08[0-9A-Z]{3}|57P0[1-5]|53300)$/;
/** Of Prisma: cannot reach, timed out, closed the connection, no connection in time, none for a transaction. */
const PRISMA = new Set(['P1001', 'P1002', 'P1008', 'P1011', 'P1017', 'P2024', 'P2028']);
/** pg says these without a code. */
const WORDS =
  /^(Connection terminated|Client has encountered a connection error|Query read timeout|timeout exceeded when trying to connect)/;

interface Facts {
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly meta?: { readonly driverAdapterError?: unknown };
}

const CAUSES_MAX = 4;

/** Whether `error` says that PostgreSQL could not be asked, so that the same request may well succeed in a moment. */
export function isDatabaseAway(error: unknown): boolean {
  let next: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && typeof next === 'object' && next !== null; depth += 1) {
    const facts = next as Facts;
    for (const code of [facts.code, facts.originalCode]) {
      if (typeof code === 'string' && (SOCKET.has(code) || SQLSTATE.test(code) || PRISMA.has(code))) return true;
    }
    if (typeof facts.message === 'string' && WORDS.test(facts.message)) return true;
    next = facts.meta?.driverAdapterError ?? facts.cause;
  }
  return false;
}
