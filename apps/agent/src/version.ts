import { readFileSync } from 'node:fs';

/** From package.json, the same distance from src/ and from dist/. */
export const agentVersion: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
