import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { agoText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';

export function addReleasesList(releases: Command, host: CommandHost): void {
  releases
    .command('list')
    .description('every release, or those of one probe')
    .option('--probe <name>', 'only of this probe')
    .action(async (options: { probe?: string }, command: Command) => {
      const invocation = invocationOf(command, host);
      const { items } = await (await connect(invocation)).call('listReleases', { query: options });
      invocation.printer.result({ items }, () =>
        items.length === 0
          ? ['No releases.']
          : tableLines(items, [
              { title: 'RELEASE', cell: (release) => `${release.probe}@${release.version}` },
              { title: 'SIGNATURE', cell: (release) => release.signature.state },
              { title: 'KERNELS', cell: (release) => release.verdicts.map((one) => one.verdict).join(' ') || '-' },
              { title: 'PUBLISHED', cell: (release) => agoText(release.createdAt, invocation.context.now()) },
              { title: 'BY', cell: (release) => release.createdBy },
              { title: 'ID', cell: (release) => release.id },
            ]),
      );
    });
}
