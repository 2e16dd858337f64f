import { safeText } from '../../output/terminal-text.js';
import type { EventRow } from './event-follower.js';

/** `12:00:01.250 pid=77 comm=sh filename="/tmp/a b"`, for eyes and for grep. */
export function eventLine(row: EventRow, event: string | undefined): string {
  const fields = Object.entries(row.fields).map(([name, value]) => `${safeText(name)}=${fieldText(value)}`);
  const clock = row.at.slice(row.at.indexOf('T') + 1).replace(/Z$/, '');
  return [clock, ...(event ? [safeText(event)] : []), ...fields].join(' ');
}

function fieldText(value: EventRow['fields'][string]): string {
  if (typeof value !== 'string') return value === null ? '-' : String(value);
  const safe = safeText(value);
  return /^[^\s"=]+$/.test(safe) ? safe : `"${safe.replace(/"/g, '\\"')}"`;
}
