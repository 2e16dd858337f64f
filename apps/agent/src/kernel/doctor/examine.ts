import { readFileSync } from 'node:fs';
import { probeKernel, type KernelReport } from '@bpfleet/node-libbpf';
import { judgeTrials, type DoctorReport } from '../../core/doctor.js';
import { tryEverything } from './trials.js';

function firstMatch(path: string, pattern: RegExp): string {
  try {
    return pattern.exec(readFileSync(path, 'utf8'))?.[1] ?? '–';
  } catch {
    return '–';
  }
}

function settingsOf({ settings, lsms }: KernelReport, bpffs: string): Record<string, string> {
  const shown = (value: number | null): string => (value === null ? '–' : String(value));
  return {
    bpffs,
    'perf paranoid': shown(settings.perfEventParanoid),
    'BPF closed': shown(settings.unprivilegedBpfDisabled),
    JIT: shown(settings.jitEnabled),
    'locked memory': firstMatch('/proc/self/limits', /^Max locked memory\s+(\S+)/m),
    lockdown: firstMatch('/sys/kernel/security/lockdown', /\[(\w+)\]/),
    LSMs: lsms?.join(', ') ?? '–',
  };
}

/** @param tooOld why this kernel is out of the question, if it is */
export function examine(bpffs: string, tooOld: (release: string) => string | undefined): DoctorReport {
  const report = probeKernel();
  const trials = tryEverything(bpffs, report);
  return {
    format: 1,
    kernel: report.release,
    machine: report.machine,
    user: process.geteuid?.() ?? 0,
    capabilities: report.capabilities,
    settings: settingsOf(report, bpffs),
    trials,
    ...judgeTrials(trials, tooOld(report.release)),
  };
}
