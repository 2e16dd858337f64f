import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { findRelease } from '../../lookup.js';
import { safeText } from '../../output/terminal-text.js';

export function addLabProve(lab: Command, host: CommandHost): void {
  lab
    .command('prove')
    .description("prove a release again on the lab's kernels, also on those that were given up")
    .argument('<release>', 'PROBE (its latest), PROBE@VERSION, or an id')
    .option('--kernel <name>', 'only on this one')
    .action(async (wanted: string, options: { kernel?: string }, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const release = await findRelease(client, wanted);
      const body = { releaseId: release.id, kernel: options.kernel };
      const { queued } = await client.call('proveInLab', { body });
      const name = safeText(`${release.probe}@${release.version}`);
      invocation.printer.result({ releaseId: release.id, queued }, () => [
        queued === 0
          ? `${name} is being proven already, or the lab has no kernels (bpfleet lab list).`
          : `${name} waits for ${queued === 1 ? '1 kernel' : `${queued} kernels`}; \`bpfleet releases show ${name}\` has the answers.`,
      ]);
    });
}
