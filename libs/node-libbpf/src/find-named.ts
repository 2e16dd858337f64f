import { argumentError } from './errors.js';

/** Throws BPF_ARGUMENT, which names the entries that exist. */
export function findNamed<Named extends { name: string }>(kind: string, list: readonly Named[], name: string): Named {
  const found = list.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const existing = list.map((entry) => entry.name).join(', ');
  throw argumentError(`find ${kind} ${String(name)}`, existing === '' ? 'there are none' : `there are ${existing}`);
}
