import { safeText } from '../../output/terminal-text.js';
import type { EventRow } from './event-follower.js';

/** `12:00:01.250 pid=77 comm=sh filename="/tmp/a b"`, for eyes and for grep. */
export function eventLine(row: EventRow, columns: readonly string[], event: string | undefined): string {
  // Debug events are kept as JSON, which does not keep the order of the fields.
  const names = [...columns.filter((name) => name in row.fields), ...Object.keys(row.fields)];
  const fields = [...new Set(names)].map((name) => `${safeText(name)}=${fieldText(row.fields[name] ?? null)}`);
  const clock = row.at.slice(row.at.indexOf('T') + 1).replace(/Z$/, '');
  return [clock, ...(event ? [safeText(event)] : []), ...fields].join(' ');
}

function fieldText(value: EventRow['fields'][string]): string {
  if (typeof value !== 'string') return value === null ? '-' : String(value);
  const safe = safeText(value);
  return /^[^\s"=]+$/.test(safe) ? safe : `"${safe.replace(/"/g, '\\"')}"`;
}
