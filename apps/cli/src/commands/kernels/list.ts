import type { BtfState, Kernel } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { archText } from '../../output/kernel-text.js';
import { tableLines } from '../../output/printer.js';

export function addKernelsList(kernels: Command, host: CommandHost): void {
  kernels
    .command('list')
    .description('the kernels that the fleet runs, and whether their types are known')
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const { items } = await (await connect(invocation)).call('listKernels', {});
      invocation.printer.result({ items }, () => kernelLines(items));
    });
}

function kernelLines(items: readonly Kernel[]): string[] {
  if (items.length === 0) return ['No device has told its kernel yet.'];
  const lines = tableLines(items, [
    { title: 'KERNEL', cell: (kernel) => kernel.kernelRelease },
    { title: 'ARCH', cell: archText },
    { title: 'JIT', cell: (kernel) => kernel.jit ?? '-' },
    { title: 'DEVICES', right: true, cell: (kernel) => String(kernel.devices) },
    { title: 'BTF', cell: (kernel) => btfText(kernel.btf) },
    { title: 'BUILD ID', cell: (kernel) => kernel.kernelBuildId ?? '-' },
  ]);
  if (!items.some(({ btf }) => btf.state === 'missing')) return lines;
  return [
    ...lines,
    '',
    'Kernels without BTF run CO-RE probes once you give their types: bpfleet btf add <vmlinux | debug package | BTF>',
  ];
}

function btfText({ state, receivedBytes, totalBytes, reason }: BtfState): string {
  switch (state) {
    case 'known':
      return 'its own';
    case 'added':
      return 'added';
    case 'missing':
      return 'none';
    case 'fetching':
      return totalBytes ? `fetching, ${Math.floor((100 * (receivedBytes ?? 0)) / totalBytes)} %` : 'fetching';
    case 'wanted':
      return reason === null ? 'wanted' : `wanted (${reason})`;
    case 'refused':
      return `refused (${reason ?? 'no reason given'})`;
  }
}
