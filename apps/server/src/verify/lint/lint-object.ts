import { BtfError, findLongReads, readObject } from '@bpfleet/btf';
import type { BpfObjectFile, BtfType } from '@bpfleet/btf';
import { checkManifest, mapMemoryBytes } from '@bpfleet/probe';
import type { ProbeManifest } from '@bpfleet/probe';
import { helperCalls, INTRUSIVE_HELPERS, TRACE_PRINTK_HELPERS } from './helper-calls.js';
import { layoutFaults } from './layout-rules.js';
import type { IsKernelType } from './layout-rules.js';
import { programTypeOf } from './program-types.js';
import { readSentence } from './read-sizes.js';

export interface LintPolicy {
  objectBytesMax: number;
  /** As `programTypeOf` names them. */
  programTypes: readonly string[];
  /** Helpers that write into processes, signal them or override what they get back. */
  allowIntrusiveHelpers: boolean;
  /** The largest machine that map memory is computed for. */
  cpus: number;
  pageBytes: number;
  /** Absent where the kernel's types are not known: the rule against them is then not checked. */
  isKernelType?: IsKernelType;
}

/** Types that observe, or pass on, and can be taken off again by detaching a link. */
export const DEFAULT_LINT_POLICY: LintPolicy = {
  objectBytesMax: 8 * 1024 * 1024,
  programTypes: [
    ...['tracepoint', 'raw_tracepoint', 'tp_btf', 'kprobe', 'uprobe', 'fentry', 'fexit', 'perf_event', 'iter'],
    ...['xdp', 'tc', 'cgroup_skb', 'cgroup', 'socket_filter', 'sock_ops', 'sk_lookup'],
  ],
  allowIntrusiveHelpers: false,
  cpus: 8,
  pageBytes: 4096,
};

export type LintRule =
  | 'object_too_large'
  | 'object_invalid'
  | 'licence'
  | 'program_none'
  | 'program_type'
  | 'helper_intrusive'
  | 'helper_printk'
  | 'map_pinned'
  | 'map_memory'
  | 'manifest'
  | 'event_layout'
  | 'map_layout'
  | 'drops_unknown'
  | 'read_size';

export interface LintFinding {
  severity: 'error' | 'warning';
  rule: LintRule;
  /** One sentence: what is wrong, where, and what to do. */
  message: string;
  program?: string;
  map?: string;
}

// linux/license.h
const GPL_COMPATIBLE = ['GPL', 'GPL v2', 'GPL and additional rights', 'Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'];
const DROPS_MAP = 'bpfleet_drops';

/** What can be said about an object without a kernel. Never throws on what an author could have sent. */
export function lintObject(bytes: Buffer, manifest: ProbeManifest, policy: LintPolicy): LintFinding[] {
  if (bytes.length > policy.objectBytesMax) {
    const message = `The object is ${bytes.length} bytes, and ${policy.objectBytesMax} are allowed.`;
    return [{ severity: 'error', rule: 'object_too_large', message }];
  }
  try {
    const object = readObject(bytes);
    return [
      ...objectFindings(object),
      ...programFindings(object, policy),
      ...helperFindings(bytes, object, policy),
      ...mapFindings(object, manifest, policy),
      ...manifestFindings(object, manifest),
      ...layoutFindings(object, manifest, policy),
      ...readFindings(object),
    ];
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    return [
      { severity: 'error', rule: 'object_invalid', message: `This is not a BPF object with BTF: ${error.message}.` },
    ];
  }
}

function objectFindings(object: BpfObjectFile): LintFinding[] {
  const findings: LintFinding[] = [];
  if (!object.littleEndian) {
    const message =
      'The object is big-endian, and every supported device is little-endian: compile with -target bpfel.';
    findings.push({ severity: 'error', rule: 'object_invalid', message });
  }
  if (object.license === '') {
    const message = 'The object states no licence: add `char LICENSE[] SEC("license") = "GPL";` or another.';
    findings.push({ severity: 'error', rule: 'licence', message });
  } else if (!GPL_COMPATIBLE.includes(object.license)) {
    const message = `The licence ${JSON.stringify(object.license)} is not GPL-compatible for the kernel, so most tracing helpers are refused.`;
    findings.push({ severity: 'warning', rule: 'licence', message });
  }
  if (object.programs.length === 0) {
    findings.push({
      severity: 'error',
      rule: 'program_none',
      message: 'The object has no program: give a function a SEC().',
    });
  }
  return findings;
}

function programFindings(object: BpfObjectFile, policy: LintPolicy): LintFinding[] {
  return object.programs.flatMap((program): LintFinding[] => {
    const type = programTypeOf(program.section);
    if (type !== undefined && policy.programTypes.includes(type)) return [];
    const message =
      type === undefined
        ? `Program ${program.name} is in section ${JSON.stringify(program.section)}, which names no program type.`
        : `Program ${program.name} is of type ${type}, which policy does not allow; allowed are ${policy.programTypes.join(', ')}.`;
    return [{ severity: 'error', rule: 'program_type', message, program: program.name }];
  });
}

function helperFindings(bytes: Buffer, object: BpfObjectFile, policy: LintPolicy): LintFinding[] {
  return helperCalls(bytes, object).flatMap(({ helper, program }): LintFinding[] => {
    const where = program === undefined ? 'A subprogram' : `Program ${program}`;
    const named = program === undefined ? {} : { program };
    const intrusive = INTRUSIVE_HELPERS.get(helper);
    if (intrusive !== undefined && !policy.allowIntrusiveHelpers) {
      const message = `${where} calls ${intrusive}, which changes what processes see or do, and policy does not allow that.`;
      return [{ severity: 'error', rule: 'helper_intrusive', message, ...named }];
    }
    const printk = TRACE_PRINTK_HELPERS.get(helper);
    if (printk === undefined) return [];
    const message = `${where} calls ${printk}, which writes to a log that the whole machine shares: use an event.`;
    return [{ severity: 'warning', rule: 'helper_printk', message, ...named }];
  });
}

function mapFindings(object: BpfObjectFile, manifest: ProbeManifest, policy: LintPolicy): LintFinding[] {
  const findings: LintFinding[] = [];
  for (const map of object.maps) {
    if (map.pinning === 0) continue;
    const message = `Map ${map.name} is pinned by name, but the agent alone decides what is pinned: remove __uint(pinning, …).`;
    findings.push({ severity: 'error', rule: 'map_pinned', message, map: map.name });
  }
  const memory = mapMemoryBytes(object, { cpus: policy.cpus, pageBytes: policy.pageBytes });
  const total = memory.reduce((sum, map) => sum + map.bytes, 0);
  const largest = memory.toSorted((a, b) => b.bytes - a.bytes)[0];
  if (total > manifest.budget.map_bytes && largest) {
    const message =
      `The maps take ${total} bytes on a machine of ${policy.cpus} CPUs, and the budget is ${manifest.budget.map_bytes}: ` +
      `the largest is ${largest.map} with ${largest.bytes}.`;
    findings.push({ severity: 'error', rule: 'map_memory', message, map: largest.map });
  }
  if (manifest.events.length > 0 && !object.maps.some((map) => map.name === DROPS_MAP)) {
    const message = `The object has events but no map ${DROPS_MAP}, so its drops will be unknown: declare the ring with BPFLEET_RING().`;
    findings.push({ severity: 'warning', rule: 'drops_unknown', message });
  }
  return findings;
}

function manifestFindings(object: BpfObjectFile, manifest: ProbeManifest): LintFinding[] {
  return checkManifest(manifest, object).map(({ path, message }) => ({
    severity: 'error',
    rule: 'manifest',
    message: `probe.yaml, ${path}: ${message}`,
  }));
}

/** Only a warning while no kernel is named: a fleet may have none of 32 bits. */
function readFindings(object: BpfObjectFile): LintFinding[] {
  return findLongReads(object).map((read) => ({
    severity: 'warning',
    rule: 'read_size',
    message: readSentence(read, 'on kernels of 32 bits'),
    program: read.program,
  }));
}

function layoutFindings(object: BpfObjectFile, manifest: ProbeManifest, policy: LintPolicy): LintFinding[] {
  const isKernelType = policy.isKernelType ?? (() => false);
  const faults = (type: BtfType | undefined) =>
    type?.kind === 'struct' || type?.kind === 'union' ? layoutFaults(object.btf, type, isKernelType) : [];

  const ofEvents = [...new Set(manifest.events.map((event) => event.struct))].flatMap((name) =>
    faults(object.btf.findByName('struct', name)).map((message): LintFinding => ({
      severity: 'error',
      rule: 'event_layout',
      message,
    })),
  );
  const read = new Set([...manifest.metrics, ...manifest.profiles].map((series) => series.map));
  const ofMaps = object.maps
    .filter((map) => read.has(map.name))
    .flatMap((map) =>
      [map.keyTypeId, map.valueTypeId].flatMap((typeId) =>
        (typeId === undefined ? [] : faults(object.btf.resolve(typeId))).map((message): LintFinding => ({
          severity: 'error',
          rule: 'map_layout',
          message,
          map: map.name,
        })),
      ),
    );
  return [...ofEvents, ...ofMaps];
}
