import { ApiError } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { refusalLines } from '../../output/refusal.js';
import { releaseLines } from '../../output/verification-report.js';
import { readProbeFolder } from './probe-folder.js';

export function addPublish(program: Command, host: CommandHost): void {
  program
    .command('publish')
    .description('compile, verify, sign and store the probe in a folder')
    .argument('<dir>', 'with probe.yaml, *.bpf.c and their own headers (or ready *.bpf.o)')
    .option('--log', 'with the whole verifier logs')
    .action(async (dir: string, options: { log?: boolean }, command: Command) => {
      const invocation = invocationOf(command, host);
      const { printer } = invocation;
      const client = await connect(invocation);
      const body = await readProbeFolder(dir);
      try {
        const release = await client.call('publish', { body });
        printer.result(release, () => releaseLines(release, { log: options.log ?? false }));
      } catch (error) {
        if (error instanceof ApiError && !printer.json) for (const line of refusalLines(error, dir)) printer.note(line);
        throw error;
      }
    });
}
