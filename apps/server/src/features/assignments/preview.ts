import type { Preview } from '@bpfleet/api';
import type { SelectedDevice } from '../devices/index.js';

/** What a kernel said about a release. Newest first. */
export interface KernelVerdict {
  readonly kernelRelease: string | null;
  readonly kernelArch: string | null;
  readonly kernelBuildId: string | null;
  readonly verdict: string;
  readonly reason: string | null;
  readonly programs: readonly {
    readonly name: string;
    readonly verdict: string;
    readonly explanation: { readonly sentence: string } | null;
  }[];
}

export interface PreviewedRelease {
  readonly features: readonly string[];
  readonly arches: readonly string[];
  readonly verdicts: readonly KernelVerdict[];
}

export interface Answer {
  readonly verdict: 'takes' | 'refuses' | 'unknown';
  readonly reason: string;
}

const SAMPLE_MAX = 10;
const GROUPS_MAX = 500;

/** How many devices will take the release, how many will not, how many nobody knows, and why, by kernel. Pure. */
export function preview(devices: readonly SelectedDevice[], release: PreviewedRelease | undefined): Preview {
  const groups = new Map<string, Preview['groups'][number]>();
  const totals = { takes: 0, refuses: 0, unknown: 0 };
  for (const device of devices) {
    const { verdict, reason } = answerFor(device, release);
    totals[verdict]++;
    const kernelRelease = device.facts?.kernelRelease ?? 'unknown';
    const arch = device.facts?.kernelArch ?? 'unknown';
    const key = JSON.stringify([kernelRelease, arch, verdict, reason]);
    const group = groups.get(key) ?? { kernelRelease, arch, devices: 0, verdict, reason };
    groups.set(key, { ...group, devices: group.devices + 1 });
  }
  return {
    devices: devices.length,
    ...totals,
    groups: [...groups.values()].sort((a, b) => b.devices - a.devices).slice(0, GROUPS_MAX),
    sample: devices.slice(0, SAMPLE_MAX).map(({ id, name }) => ({ id, name })),
  };
}

/** One device's answer. What can be said for certain comes first: a missing feature is missing whatever a kernel proved. */
export function answerFor(device: SelectedDevice, release: PreviewedRelease | undefined): Answer {
  const { facts } = device;
  if (!facts) return { verdict: 'unknown', reason: 'it has not reported its kernel yet' };
  if (!release) return { verdict: 'unknown', reason: 'no release was named' };
  const missing = release.features.filter((feature) => !facts.features.includes(feature));
  if (missing.length > 0)
    return { verdict: 'refuses', reason: `it lacks ${missing.join(', ')}, which the probe requires` };
  if (!release.arches.includes('any') && !release.arches.includes(facts.kernelArch)) {
    return { verdict: 'refuses', reason: `the release has no object for ${facts.kernelArch}` };
  }
  const verdict = release.verdicts.find((one) => isSameKernel(one, facts));
  if (verdict) return answerOf(verdict);
  // Nobody could ask any kernel: the reason is the same for all.
  const nobody = release.verdicts.find((one) => one.kernelRelease === null);
  return { verdict: 'unknown', reason: `not proven on this kernel${nobody?.reason ? `: ${nobody.reason}` : ''}` };
}

function answerOf(verdict: KernelVerdict): Answer {
  if (verdict.verdict === 'refused') {
    const refused = verdict.programs.find((program) => program.verdict === 'refused');
    const why = refused?.explanation?.sentence ?? verdict.reason ?? 'its verifier refused the program';
    return { verdict: 'refuses', reason: `refused by this kernel: ${why}` };
  }
  const unsupported = verdict.programs.filter((program) => program.verdict === 'unsupported').map(({ name }) => name);
  if (unsupported.length > 0) {
    return { verdict: 'refuses', reason: `this kernel does not support ${unsupported.join(', ')}` };
  }
  if (verdict.verdict === 'accepted') return { verdict: 'takes', reason: 'proven on this kernel' };
  return { verdict: 'unknown', reason: `not proven on this kernel: ${verdict.reason ?? 'it gave no verdict'}` };
}

/** The build id names a kernel exactly; where one side has none, release and architecture must do. */
function isSameKernel(verdict: KernelVerdict, facts: NonNullable<SelectedDevice['facts']>): boolean {
  if (verdict.kernelRelease === null) return false;
  if (verdict.kernelBuildId && facts.kernelBuildId) return verdict.kernelBuildId === facts.kernelBuildId;
  return verdict.kernelRelease === facts.kernelRelease && verdict.kernelArch === facts.kernelArch;
}
