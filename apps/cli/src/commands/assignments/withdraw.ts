import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { safeText } from '../../output/terminal-text.js';

export function addAssignmentsWithdraw(assignments: Command, host: CommandHost): void {
  assignments
    .command('withdraw')
    .description('detach it from every device; what was measured stays')
    .argument('<id>', 'of the assignment')
    .action(async (id: string, _options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const assignment = await (await connect(invocation)).call('withdrawAssignment', { path: { id } });
      invocation.printer.result(assignment, () => [
        `${safeText(assignment.probe)}@${safeText(assignment.version)} is withdrawn from ${assignment.devices} devices.`,
      ]);
    });
}
