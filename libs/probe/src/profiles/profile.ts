import type { BpfObjectFile, Column, MapDefinition } from '@bpfleet/btf';
import { BtfError } from '@bpfleet/btf';
import type { ManifestIssue } from '../manifest/error.js';
import { ManifestError } from '../manifest/error.js';
import { listing } from '../manifest/listing.js';
import type { ProbeManifest, ProfileManifest } from '../manifest/schema.js';
import type { Side } from '../metrics/entries.js';
import { Entries, sideOf, viewOf } from '../metrics/entries.js';
import type { BoundLabel } from '../metrics/labels.js';
import { bindLabels, coveredBy, labelKey, labelReader, requireCover } from '../metrics/labels.js';
import { findMap, requireNumber, valueColumn } from '../metrics/metric.js';
import type { NumberReader } from '../metrics/number.js';
import { columnNumber } from '../metrics/number.js';
import type { ProfileReader, ProfileSample, ReaderContext } from '../types.js';

const COUNT_TYPES: ReadonlySet<string> = new Set(['hash', 'percpu_hash', 'lru_hash', 'lru_percpu_hash']);
const STACK_TYPES: ReadonlySet<string> = new Set(['stack_trace']);

interface BoundProfile {
  readonly map: MapDefinition;
  readonly key: Side;
  readonly value: Side;
  readonly kernelStack: Column | undefined;
  readonly userStack: Column | undefined;
  readonly count: Column;
  readonly labels: readonly BoundLabel[];
}

export function bindProfile(
  profile: ProfileManifest,
  object: BpfObjectFile,
  path: string,
  issues: ManifestIssue[],
): BoundProfile | undefined {
  findMap(object, profile.stacks, STACK_TYPES, 'hold stacks', `${path}.stacks`, issues);
  const map = findMap(object, profile.map, COUNT_TYPES, 'count by key', `${path}.map`, issues);
  if (map === undefined) return undefined;
  try {
    const key = sideOf(object, map, 'key', Object.keys(profile.labels));
    const value = sideOf(object, map, 'value');
    const kernelStack = stackColumn(profile.kernel_stack, key, `${path}.kernel_stack`, issues);
    const userStack = stackColumn(profile.user_stack, key, `${path}.user_stack`, issues);
    if (profile.kernel_stack === undefined && profile.user_stack === undefined) {
      const message = `Say which member of the key is a stack, as kernel_stack or user_stack; the key has ${listing(key.columns.map((c) => c.path))}.`;
      issues.push({ path, message });
    }
    const count = valueColumn(value, profile.value, `${path}.value`, issues);
    if (count === undefined) return undefined;
    requireNumber(count, value, `${path}.value`, issues);
    const labels = bindLabels(profile.labels, key, path, issues);
    if (labels.length === Object.keys(profile.labels).length) {
      const stacks = [profile.kernel_stack ?? '', profile.user_stack ?? ''];
      requireCover(key, map, new Set([...coveredBy(labels), ...stacks]), `${path}.labels`, issues);
    }
    return { map, key, value, kernelStack, userStack, count, labels };
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    issues.push({ path: `${path}.map`, message: `Map \`${map.name}\` cannot be laid out: ${error.message}.` });
    return undefined;
  }
}

function stackColumn(field: string | undefined, key: Side, path: string, issues: ManifestIssue[]): Column | undefined {
  if (field === undefined) return undefined;
  const column = key.columns.find((c) => c.path === field);
  if (column === undefined) {
    issues.push({
      path,
      message: `The key has no member \`${field}\`; it has ${listing(key.columns.map((c) => c.path))}.`,
    });
    return undefined;
  }
  if ((column.kind !== 'int' && column.kind !== 'uint') || column.bits < 32 || column.bitfield) {
    issues.push({
      path,
      message: `\`${field}\` must be an integer of 32 or 64 bits: what bpf_get_stackid() returned.`,
    });
    return undefined;
  }
  // An error is a negative id, also in a field that C calls unsigned.
  return { ...column, kind: 'int' };
}

/**
 * Reads snapshots of a profile's counts. Per-CPU counts are summed; samples of equal stacks and labels are one.
 * @throws ManifestError when the manifest has no such profile, or it does not fit the object
 */
export function profileReader(
  manifest: ProbeManifest,
  object: BpfObjectFile,
  profileName: string,
  context: ReaderContext,
): ProfileReader {
  const bound = bindProfileOrThrow(manifest, object, profileName);
  const entries = new Entries(bound.map, context.cpus);
  const labels = labelReader(bound.labels, bound.key.layout, context);
  const readCount = columnNumber(bound.count, bound.value.layout) as NumberReader;
  const readKernel = bound.kernelStack && columnNumber(bound.kernelStack, bound.key.layout);
  const readUser = bound.userStack && columnNumber(bound.userStack, bound.key.layout);
  return {
    keyBytes: entries.keyBytes,
    valueStrideBytes: entries.valueStrideBytes,
    read(keys, values, count) {
      entries.check(keys, values, count);
      const keyView = viewOf(keys);
      const valueView = viewOf(values);
      const samples = new Map<string, ProfileSample & { count: number }>();
      for (let index = 0; index < count; index += 1) {
        const at = index * entries.keyBytes;
        let total = 0;
        for (let slot = 0; slot < entries.slots; slot += 1) {
          total += readCount(valueView, index * entries.valueStrideBytes + slot * entries.slotBytes);
        }
        if (total === 0) continue;
        const kernelStackId = stackId(readKernel?.(keyView, at));
        const userStackId = stackId(readUser?.(keyView, at));
        const sampleLabels = labels(keyView, at);
        const id = `${kernelStackId ?? ''} ${userStackId ?? ''} ${labelKey(sampleLabels)}`;
        const sample = samples.get(id);
        if (sample === undefined) samples.set(id, { kernelStackId, userStackId, labels: sampleLabels, count: total });
        else sample.count += total;
      }
      return [...samples.values()];
    },
  };
}

function stackId(value: number | undefined): number | undefined {
  return value === undefined || value < 0 ? undefined : value;
}

function bindProfileOrThrow(manifest: ProbeManifest, object: BpfObjectFile, name: string): BoundProfile {
  const index = manifest.profiles.findIndex((profile) => profile.name === name);
  const profile = manifest.profiles[index];
  if (profile === undefined) {
    const message = `There is no profile \`${name}\`; the manifest has ${listing(manifest.profiles.map((p) => p.name))}.`;
    throw new ManifestError([{ path: 'profiles', message }]);
  }
  const issues: ManifestIssue[] = [];
  const bound = bindProfile(profile, object, `profiles[${index}]`, issues);
  if (bound === undefined || issues.length > 0) throw new ManifestError(issues);
  return bound;
}
