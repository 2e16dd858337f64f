import type { Device } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { listAllDevices } from '../../lookup.js';
import { agoText, bytesText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';

export function addDevicesList(devices: Command, host: CommandHost): void {
  devices
    .command('list')
    .description('every device, or those that a selector holds')
    .option('--selector <selector>', 'such as "arch=arm64 and kernel>=5.10 and site in (oslo,bergen)"')
    .action(async (options: { selector?: string }, command: Command) => {
      const invocation = invocationOf(command, host);
      const items = await listAllDevices(await connect(invocation), options.selector);
      invocation.printer.result({ items }, () => deviceLines(items, invocation.context.now()));
    });
}

function deviceLines(items: readonly Device[], nowMs: number): string[] {
  if (items.length === 0) return ['No devices.'];
  return tableLines(items, [
    { title: 'NAME', cell: (device) => device.name },
    { title: 'ID', cell: (device) => device.id },
    { title: 'SEEN', cell: (device) => seenText(device, nowMs) },
    { title: 'KERNEL', cell: (device) => device.facts?.kernelRelease ?? '-' },
    { title: 'ARCH', cell: (device) => device.facts?.kernelArch ?? '-' },
    { title: 'ATTACHED', right: true, cell: (device) => String(device.runs.attached) },
    { title: 'FAILED', right: true, cell: (device) => String(device.runs.failed) },
    { title: 'AGENT', right: true, cell: (device) => (device.agent ? bytesText(device.agent.rssBytes) : '-') },
    {
      title: 'LABELS',
      cell: (device) =>
        Object.entries(device.labels)
          .map((pair) => pair.join('='))
          .join(' '),
    },
  ]);
}

function seenText(device: Device, nowMs: number): string {
  if (device.status !== 'active') return device.status;
  if (device.online) return 'online';
  return device.lastSeenAt ? agoText(device.lastSeenAt, nowMs) : 'never';
}
