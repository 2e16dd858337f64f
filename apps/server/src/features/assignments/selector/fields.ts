/** What a selector can see of a device: its labels, and what it reported of itself, if it did. */
export interface SelectorSubject {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: SelectorFacts | null;
}

export interface SelectorFacts {
  readonly hostname: string;
  readonly machine: string | null;
  readonly distribution: string | null;
  readonly kernelRelease: string;
  readonly kernelArch: string;
  readonly userBits: number;
  readonly btfDigest: string | null;
  readonly jit: string | null;
  readonly lsm: readonly string[];
  readonly cpus: number;
  readonly features: readonly string[];
  readonly agentVersion: string;
}

/** `text` is compared as it is, `version` part by part, `number` as a number, `set` holds any of several, `flag` stands alone. */
export type FieldKind = 'text' | 'version' | 'number' | 'set' | 'flag';

interface Field {
  readonly kind: FieldKind;
  /** Undefined: the device has not said. */
  read(subject: SelectorSubject): string | number | boolean | readonly string[] | undefined;
}

const fact =
  <T>(pick: (facts: SelectorFacts) => T | null) =>
  ({ facts }: SelectorSubject): T | undefined =>
    (facts === null ? undefined : pick(facts)) ?? undefined;

/** Every name that is not here is a label; a label that shares one of these names is written `label.NAME`. */
export const fields: Readonly<Record<string, Field>> = {
  id: { kind: 'text', read: ({ id }) => id },
  name: { kind: 'text', read: ({ name }) => name },
  arch: { kind: 'text', read: fact((facts) => facts.kernelArch) },
  kernel: { kind: 'version', read: fact((facts) => facts.kernelRelease) },
  agent: { kind: 'version', read: fact((facts) => facts.agentVersion) },
  hostname: { kind: 'text', read: fact((facts) => facts.hostname) },
  machine: { kind: 'text', read: fact((facts) => facts.machine) },
  distribution: { kind: 'text', read: fact((facts) => facts.distribution) },
  jit: { kind: 'text', read: fact((facts) => facts.jit) },
  bits: { kind: 'number', read: fact((facts) => facts.userBits) },
  cpus: { kind: 'number', read: fact((facts) => facts.cpus) },
  lsm: { kind: 'set', read: fact((facts) => facts.lsm) },
  feature: { kind: 'set', read: fact((facts) => facts.features) },
  btf: { kind: 'flag', read: fact((facts) => facts.btfDigest !== null) },
};

export function fieldOf(name: string): Field {
  const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (known) return known;
  const label = name.startsWith('label.') ? name.slice('label.'.length) : name;
  return { kind: 'text', read: ({ labels }) => (Object.hasOwn(labels, label) ? labels[label] : '') };
}
