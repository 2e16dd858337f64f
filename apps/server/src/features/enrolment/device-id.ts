import { randomInt } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const RANDOM_CHARS = 16;

/** `d` and 16 of a-z 0-9: one topic level that can hold no `/`, `+` or `#`. The name people see is another thing. */
export function mintDeviceId(): string {
  return `d${Array.from({ length: RANDOM_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')}`;
}
