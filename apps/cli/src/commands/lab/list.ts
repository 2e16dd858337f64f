import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { labLines } from './kernel-text.js';

export function addLabList(lab: Command, host: CommandHost): void {
  lab
    .command('list')
    .description('the kernels of the lab, and how far they have come')
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const found = await (await connect(invocation)).call('getLab', {});
      invocation.printer.result(found, () => labLines(found, invocation.context.now()));
    });
}
