import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { safeText } from '../../output/terminal-text.js';

export function addLabRemove(lab: Command, host: CommandHost): void {
  lab
    .command('remove')
    .description('boot a kernel no more; what it said of releases stays')
    .argument('<name>', 'of the kernel')
    .action(async (name: string, _options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const gone = await (await connect(invocation)).call('removeLabKernel', { path: { id: name } });
      invocation.printer.result(gone, () => [`${safeText(gone.name)} is no kernel of the lab any more.`]);
    });
}
