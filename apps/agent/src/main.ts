#!/usr/bin/env node
import { Command } from 'commander';
import { errorFacts } from './log.js';
import { agentVersion } from './version.js';

const program = new Command('bpfleet-agent').version(agentVersion);

program
  .command('enrol')
  .description('turn an enrolment token into an identity of this device')
  .requiredOption('--server <url>', 'the server, such as https://bpfleet.example.org')
  .requiredOption('--token <token>', 'bpf1.<id>.<secret>.<digest>, as the server showed it')
  .requiredOption('--state <folder>', 'where this device keeps what it knows')
  .option('--replace', 'give up the identity that the folder holds', false)
  .action(async (options: { server: string; token: string; state: string; replace: boolean }) => {
    const { enrol } = await import('./commands/enrol.js');
    const device = await enrol(options);
    process.stdout.write(`${JSON.stringify({ enrolled: true, device })}\n`);
  });

program
  .command('run')
  .description('run what the server asks of this device')
  .requiredOption('--state <folder>', 'where this device keeps what it knows')
  .option('--no-kernel', 'do everything but load programs')
  .action(async (options: { state: string; kernel: boolean }) => {
    const { run } = await import('./commands/run.js');
    await run(options);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${JSON.stringify({ level: 'error', event: 'agent.failed', ...errorFacts(error) })}\n`);
  process.exitCode = 1;
}
