import { Injectable } from '@nestjs/common';
import type { BpfObjectFile } from '@bpfleet/btf';
import {
  BtfError,
  checkManifest,
  eventColumns,
  ManifestError,
  mapMemoryBytes,
  parseManifest,
  readObject,
  type ProbeManifest,
} from '@bpfleet/probe';
import { lintObject } from '../../../verify/index.js';
import type { BuiltObject, Finding } from './build-objects.js';
import { manifestRefusal, refusal } from './refusal.js';
import { VerifyTools } from './verify-tools.js';

export interface CheckedObject extends BuiltObject {
  readonly object: BpfObjectFile;
}

export interface Checked {
  readonly objects: readonly CheckedObject[];
  readonly warnings: readonly Finding[];
  /** On a machine as the policy assumes it; the largest of the objects. */
  readonly mapBytes: number;
  readonly events: readonly { name: string; columns: readonly { name: string; type: string }[] }[];
}

/** A release document allows this much for one object. */
const OBJECT_BYTES_MAX = 8 * 1024 * 1024;
const FINDINGS_MAX = 50;

/** Throws MANIFEST_INVALID. */
export function readManifest(text: string): ProbeManifest {
  try {
    return parseManifest(text);
  } catch (error) {
    if (error instanceof ManifestError) throw manifestRefusal(error.issues);
    throw error;
  }
}

/** What can be known about objects without a kernel. */
@Injectable()
export class ObjectChecker {
  constructor(private readonly tools: VerifyTools) {}

  /** Throws OBJECT_INVALID, MANIFEST_INVALID or LINT_FAILED. */
  async check(manifest: ProbeManifest, built: readonly BuiltObject[]): Promise<Checked> {
    const policy = await this.tools.lintPolicy();
    const objects = built.map((one) => ({ ...one, object: readBuilt(one) }));
    for (const { object } of objects) {
      const issues = checkManifest(manifest, object);
      if (issues.length > 0) throw manifestRefusal(issues);
    }
    const findings = unique(objects.flatMap(({ bytes }) => lintObject(bytes, manifest, policy)));
    const errors = findings.filter(({ severity }) => severity === 'error');
    if (errors.length > 0) {
      const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
      throw refusal('LINT_FAILED', `${errors[0]?.message}${more}`, { findings: findings.slice(0, FINDINGS_MAX) });
    }
    const memory = objects.map(({ object }) =>
      mapMemoryBytes(object, policy).reduce((sum, { bytes }) => sum + bytes, 0),
    );
    return {
      objects,
      warnings: findings.slice(0, FINDINGS_MAX),
      mapBytes: Math.max(0, ...memory),
      events: eventsOf(manifest, objects[0]?.object),
    };
  }
}

function readBuilt({ arch, bytes }: BuiltObject): BpfObjectFile {
  if (bytes.length > OBJECT_BYTES_MAX) {
    throw refusal(
      'OBJECT_INVALID',
      `the object for ${arch} is ${bytes.length} bytes; at most ${OBJECT_BYTES_MAX} are taken`,
    );
  }
  try {
    return readObject(bytes);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw refusal('OBJECT_INVALID', objectSentence(error));
  }
}

function objectSentence(error: BtfError): string {
  switch (error.code) {
    case 'ELF_INVALID':
      return `this is not a BPF object: ${error.message}; compile the C with clang -target bpf -g -O2`;
    case 'BTF_MISSING':
      return 'the object has no BTF, so nobody can know what its events and maps hold: compile it with -g';
    default:
      return `this BPF object cannot be used: ${error.message}`;
  }
}

function eventsOf(manifest: ProbeManifest, object: BpfObjectFile | undefined): Checked['events'] {
  if (!object) return [];
  return manifest.events.map(({ name }) => ({
    name,
    columns: eventColumns(manifest, object, name).map((column) => ({ name: column.name, type: column.pgType })),
  }));
}

/** Objects of several architectures mostly have the same findings. */
function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map(({ severity, rule, message }) => [message, { severity, rule, message }]));
  return [...seen.values()];
}
