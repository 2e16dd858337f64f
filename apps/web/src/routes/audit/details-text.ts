import { printable } from '../../ui/format.js';

/** `key=value` of what an entry says beside its subject; texts of people and devices, made printable. */
export function detailsText(details: Readonly<Record<string, unknown>>): string {
  return printable(
    Object.entries(details)
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join('  '),
  );
}
