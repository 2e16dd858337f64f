import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { tableLines } from '../../output/printer.js';

export function addProbesList(probes: Command, host: CommandHost): void {
  probes
    .command('list')
    .description('every probe with its latest release')
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const { items } = await (await connect(invocation)).call('listProbes', {});
      invocation.printer.result({ items }, () =>
        items.length === 0
          ? ['No probes. Publish one: bpfleet publish DIR']
          : tableLines(items, [
              { title: 'PROBE', cell: (probe) => probe.name },
              { title: 'LATEST', cell: (probe) => probe.latest.version },
              { title: 'RELEASES', right: true, cell: (probe) => String(probe.releases) },
              { title: 'ATTACHED', right: true, cell: (probe) => String(probe.runsAttached) },
              { title: 'SUMMARY', cell: (probe) => probe.summary },
            ]),
      );
    });
}
