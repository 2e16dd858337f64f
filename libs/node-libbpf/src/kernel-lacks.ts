import type { AttachTypeFacts } from './attach-types.js';
import type { KernelConfig } from './kernel-config.js';
import { hasConfig, readKernelConfig } from './kernel-config.js';
import type { KernelReport } from './kernel-report.js';
import type { MapTypeFacts } from './map-types.js';

function isOlder(release: string, than: string): boolean {
  const [[major = 0, minor = 0], [wantedMajor = 0, wantedMinor = 0]] = [release, than].map((text) =>
    (/^(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number),
  ) as [number[], number[]];
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

/**
 * What this kernel lacks for an entry of `attachTypes` or `mapTypes`, whatever a process may do: a version, an option of its
 * configuration, BTF, a JIT that is on. Undefined where nothing of that is known to be missing; only trying tells more.
 */
export function lacksOfKernel(
  type: AttachTypeFacts | MapTypeFacts,
  report: KernelReport,
  config: KernelConfig = readKernelConfig(),
): string | undefined {
  const { machine, features, settings } = report;
  const since = type.sinceByMachine?.[machine] ?? type.since;
  if (since === '') return `a kernel that has it on ${machine}: none has`;
  if (isOlder(report.release, since)) return `kernel ${since}`;
  if (report.config.path !== null) {
    const off = type.config.find((option) => hasConfig(config, option) === 'no');
    if (off !== undefined) return `CONFIG_${off}`;
  }
  if (type.config.includes('DEBUG_INFO_BTF') && features.btf === 'no') return 'kernel BTF (CONFIG_DEBUG_INFO_BTF)';
  if ('needsJit' in type && settings.jitEnabled === 0) return 'a JIT (net.core.bpf_jit_enable is 0)';
  return lacksFeature(type, report);
}

function lacksFeature({ feature }: AttachTypeFacts | MapTypeFacts, report: KernelReport): string | undefined {
  if (feature === undefined || report.features[feature] !== 'no') return undefined;
  const why = report.why[`features.${feature}`];
  // Where the kernel's configuration is known to have it, a feature that is not there is a failure to be seen.
  if (feature === 'active_bpf_lsm') return `lsm=…,bpf (${why})`;
  if (why?.includes('policy')) return why;
  return report.config.path === null ? `${feature} (${why ?? 'the kernel has none'})` : undefined;
}
