import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { findRelease } from '../../lookup.js';
import { previewLines } from '../../output/preview.js';

export function addPreview(program: Command, host: CommandHost): void {
  program
    .command('preview')
    .description('who would take a release, who would refuse, and why; nothing is sent')
    .argument('[release]', 'PROBE (its latest), PROBE@VERSION, or an id; without it, only whom the selector holds')
    .requiredOption('--selector <selector>', 'which devices; "all" is every active one')
    .action(async (wanted: string | undefined, options: { selector: string }, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const release = wanted === undefined ? undefined : await findRelease(client, wanted);
      const body = { selector: options.selector, releaseId: release?.id };
      const preview = await client.call('preview', { body });
      invocation.printer.result(preview, () => previewLines(preview));
    });
}
