const CHECK_VIOLATION = '23514';

/** Classes of SQLSTATE that are about the rows: data exceptions, violated constraints, limits of one statement or row. */
const ABOUT_ROWS = /^(22|23|54)/;
const NO_SUCH_COLUMN_OR_TABLE = new Set(['42P01', '42703', '42804']);

/** `no partition of relation … found for row`: control has not made it yet, and the row is as good as any. */
export function lacksPartition(error: unknown): boolean {
  const { code, message, routine } = error as Partial<Record<'code' | 'message' | 'routine', unknown>>;
  // The message may be in another language, where the server was told so.
  return code === CHECK_VIOLATION && (routine === 'ExecFindPartition' || /no partition/.test(String(message)));
}

/** Whether PostgreSQL refused rows for what they are, so that sending them again would end the same way. */
export function isAboutRows(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return false;
  if (lacksPartition(error)) return false;
  return ABOUT_ROWS.test(code) || NO_SUCH_COLUMN_OR_TABLE.has(code);
}
