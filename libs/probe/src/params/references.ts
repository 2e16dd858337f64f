import type { ProbeManifest } from '../manifest/schema.js';

/** A place in the manifest that takes its value from a parameter: `$name`. */
export interface ParamReference {
  readonly path: string;
  readonly param: string;
  readonly type: 'string' | 'number';
}

/** The parameter that a value stands for; undefined when it is a value itself. */
export function referenceOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.startsWith('$') ? value.slice(1) : undefined;
}

export function referencesOf(manifest: ProbeManifest): ParamReference[] {
  const references: ParamReference[] = [];
  const add = (path: string, value: unknown, type: ParamReference['type']): void => {
    const param = referenceOf(value);
    if (param !== undefined) references.push({ path, param, type });
  };
  for (const [program, options] of Object.entries(manifest.attach)) {
    add(`attach.${program}.interface`, options.interface, 'string');
    add(`attach.${program}.frequency_hz`, options.frequency_hz, 'number');
  }
  manifest.profiles.forEach((profile, i) => add(`profiles[${i}].frequency_hz`, profile.frequency_hz, 'number'));
  return references;
}
