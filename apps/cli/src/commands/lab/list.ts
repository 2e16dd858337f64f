import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { labLines } from './kernel-text.js';
import { watchLab } from './watch-lab.js';

export function addLabList(lab: Command, host: CommandHost): void {
  lab
    .command('list')
    .description('the kernels of the lab, and how far they have come')
    .option('--watch', 'go on, with a line for each kernel as it changes, until Ctrl-C')
    .action(async ({ watch }: { watch?: boolean }, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      if (watch) return watchLab(invocation, client);
      const found = await client.call('getLab', {});
      invocation.printer.result(found, () => labLines(found, invocation.context.now()));
    });
}
