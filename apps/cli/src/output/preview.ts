import type { Preview } from '@bpfleet/api';
import { tableLines } from './printer.js';
import { safeText } from './terminal-text.js';

export function previewLines(preview: Preview): string[] {
  const { devices, takes, refuses, unknown, groups, sample } = preview;
  if (devices === 0) return ['No device matches.'];
  return [
    `${devices} ${devices === 1 ? 'device' : 'devices'}: ${takes} will take it, ${refuses} will refuse, ${unknown} unknown`,
    ...tableLines(groups, [
      { title: 'KERNEL', cell: (group) => group.kernelRelease },
      { title: 'ARCH', cell: (group) => group.arch },
      { title: 'DEVICES', right: true, cell: (group) => String(group.devices) },
      { title: 'VERDICT', cell: (group) => group.verdict },
      { title: 'WHY', cell: (group) => group.reason },
    ]),
    `Among them: ${sample.map((device) => safeText(device.name)).join(', ')}`,
  ];
}
