import type { Release } from '@bpfleet/api';
import { CliError } from './exit-code.js';

export type Params = Record<string, number | boolean | string>;

/** commander's way of taking an option several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** Reads `--param name=value` by the types that the release declares. @throws CliError PARAM_INVALID */
export function readParams(release: Pick<Release, 'params' | 'probe'>, pairs: readonly string[]): Params {
  const params: Params = {};
  for (const pair of pairs) {
    const split = pair.indexOf('=');
    const name = split < 0 ? pair : pair.slice(0, split);
    const spec = release.params.find((one) => one.name === name);
    if (!spec) {
      const known = release.params.map((one) => one.name).join(', ') || 'none';
      throw new CliError('PARAM_INVALID', `${release.probe} has no parameter ${name}; it has ${known}`);
    }
    if (split < 0) throw new CliError('PARAM_INVALID', `--param ${name} needs a value: --param ${name}=VALUE`);
    params[name] = readValue(name, spec.type, pair.slice(split + 1));
  }
  return params;
}

function readValue(name: string, type: 'number' | 'boolean' | 'string', text: string): number | boolean | string {
  if (type === 'string') return text;
  if (type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw new CliError('PARAM_INVALID', `${name} is true or false, not ${JSON.stringify(text)}`);
  }
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new CliError('PARAM_INVALID', `${name} is a number, not ${JSON.stringify(text)}`);
  }
  return value;
}

/** Reads `--label name=value`. @throws CliError LABEL_INVALID */
export function readLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const split = pair.indexOf('=');
      if (split < 1) throw new CliError('LABEL_INVALID', `${JSON.stringify(pair)} is not a label: NAME=VALUE`);
      return [pair.slice(0, split), pair.slice(split + 1)];
    }),
  );
}
