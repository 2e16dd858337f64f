import type { PreflightProof } from '@bpfleet/api';

/** How near the kernel that loaded it is to that of the devices. */
export function closenessText({ closeness, kernelRelease }: PreflightProof): string {
  switch (closeness) {
    case 'same_group':
      return 'this very kernel';
    case 'same_build':
      return 'same build';
    case 'same_series':
      return `same series (${/^\d+\.\d+/.exec(kernelRelease)?.[0] ?? 'another kernel'})`;
  }
}

export function archText({ kernelArch, userBits }: { kernelArch: string; userBits: number }): string {
  return kernelArch !== 'arm' && userBits === 32 ? `${kernelArch}, 32-bit programs` : kernelArch;
}

/** A release series as people type it; undefined for what is none. */
export function seriesOf(text: string): string | undefined {
  return /^\d{1,5}\.\d{1,5}$/.test(text.trim()) ? text.trim() : undefined;
}
