import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { findDevice } from '../../lookup.js';
import { safeText } from '../../output/terminal-text.js';

export function addDevicesRevoke(devices: Command, host: CommandHost): void {
  devices
    .command('revoke')
    .description(
      'shut a device out for good: it is cut off, and can come back under a new id alone; for administrators',
    )
    .argument('<device>', 'its id or name')
    .requiredOption('--reason <text>', 'why: shown with the device, and kept in the audit log')
    .action(async (wanted: string, { reason }: { reason: string }, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const { id } = await findDevice(client, wanted);
      const device = await client.call('revokeDevice', { path: { id }, body: { reason } });
      invocation.printer.result(device, () => [
        `${safeText(device.name)} (${device.id}) is revoked.`,
        'What is in its kernel ends there when its lease lapses: within 14 days, a debug run within 10 minutes.',
      ]);
    });
}
