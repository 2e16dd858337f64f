import type { KernelBtf } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { bytesText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';

export function addBtfList(btf: Command, host: CommandHost): void {
  btf
    .command('list')
    .description('the kernel types that the server has, and where they came from')
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const { items } = await (await connect(invocation)).call('listBtf', {});
      invocation.printer.result({ items }, () => btfLines(items));
    });
}

function btfLines(items: readonly KernelBtf[]): string[] {
  if (items.length === 0) return ['No BTF yet: devices whose kernel shows it give it by themselves.'];
  return tableLines(items, [
    { title: 'DIGEST', cell: (item) => item.digest.slice(0, 12) },
    { title: 'SIZE', right: true, cell: (item) => bytesText(item.bytes) },
    { title: 'BITS', right: true, cell: (item) => String(item.pointerBits) },
    { title: 'FROM', cell: (item) => (item.source === 'admin' ? item.addedBy : `device ${item.addedBy}`) },
    { title: 'DEVICES', right: true, cell: (item) => String(item.devices) },
    { title: 'BUILDS', cell: (item) => item.builds.map(buildText).join(' ') || '-' },
  ]);
}

function buildText({ buildId, kernelRelease, kernelArch }: KernelBtf['builds'][number]): string {
  return `${kernelRelease ?? kernelArch}:${buildId.slice(0, 12)}`;
}
