import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { findRelease } from '../../lookup.js';
import { releaseKernelLines } from '../../output/release-kernels.js';
import { releaseLines } from '../../output/verification-report.js';

export function addReleasesShow(releases: Command, host: CommandHost): void {
  releases
    .command('show')
    .description('a release with its verification report')
    .argument('<release>', 'PROBE (its latest), PROBE@VERSION, or an id')
    .option('--log', 'with the whole verifier logs')
    .action(async (wanted: string, options: { log?: boolean }, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const release = await findRelease(client, wanted);
      const { items: kernels } = await client.call('getReleaseKernels', { path: { id: release.id } });
      const log = options.log ?? false;
      invocation.printer.result({ ...release, kernels }, () => [
        ...releaseLines(release, { log }),
        ...releaseKernelLines(kernels, { log }),
      ]);
    });
}
