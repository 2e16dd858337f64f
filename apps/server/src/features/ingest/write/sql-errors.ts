/** `no partition of relation … found for row`: control has not made it yet, and the row is as good as any. */
const CHECK_VIOLATION = '23514';

/** Classes of SQLSTATE that are about the rows: data exceptions, violated constraints, limits of one statement or row. */
const ABOUT_ROWS = /^(22|23|54)/;
const NO_SUCH_COLUMN_OR_TABLE = new Set(['42P01', '42703', '42804']);

/** Whether PostgreSQL refused rows for what they are, so that sending them again would end the same way. */
export function isAboutRows(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return false;
  if (code === CHECK_VIOLATION && /no partition/.test(message ?? '')) return false;
  return ABOUT_ROWS.test(code) || NO_SUCH_COLUMN_OR_TABLE.has(code);
}
