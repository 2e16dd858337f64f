import type { Assignment } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { tableLines } from '../../output/printer.js';

export function addAssignmentsList(assignments: Command, host: CommandHost): void {
  assignments
    .command('list')
    .description('what is assigned to whom, and how many runs are in which state')
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const { items } = await (await connect(invocation)).call('listAssignments', {});
      invocation.printer.result({ items }, () =>
        items.length === 0
          ? ['Nothing is assigned.']
          : tableLines(items, [
              { title: 'ID', cell: (one) => one.id },
              { title: 'RELEASE', cell: (one) => `${one.probe}@${one.version}` },
              { title: 'SELECTOR', cell: (one) => one.selector || 'all' },
              { title: 'STATE', cell: (one) => one.state },
              { title: 'DEVICES', right: true, cell: (one) => String(one.devices) },
              { title: 'RUNS', cell: runsText },
            ]),
      );
    });
}

function runsText(assignment: Assignment): string {
  const counts = Object.entries(assignment.runs).filter(([, count]) => count > 0);
  return counts.map(([state, count]) => `${count} ${state.toLowerCase()}`).join(', ') || '-';
}
