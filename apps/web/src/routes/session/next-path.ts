/** Where to go after the log-in: a path of this site only, never another host (`//host`, `/\host`, `https:`). */
export function safeNext(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 2000) return undefined;
  return /^\/(?![/\\])/.test(value) && !value.startsWith('/login') ? value : undefined;
}
