#!/usr/bin/env node
import { parseCommandLine, usage, UsageError, type CommandLine } from './command-line.js';
import { errorFacts } from './log.js';
import { becomeOwnerOf } from './store/folder-owner.js';
import { agentVersion } from './version.js';

/** Each command brings its own modules: what a device runs all day must not hold what it needed once. */
async function obey(line: CommandLine): Promise<void> {
  switch (line.command) {
    case 'help':
      process.stdout.write(usage);
      return;
    case 'version':
      process.stdout.write(`${agentVersion}\n`);
      return;
    case 'enrol': {
      const { enrol } = await import('./commands/enrol.js');
      becomeOwnerOf(line.state);
      process.stdout.write(`${JSON.stringify({ enrolled: true, device: await enrol(line) })}\n`);
      return;
    }
    case 'doctor': {
      const { doctor } = await import('./commands/doctor.js');
      process.exitCode = await doctor(line, (text) => process.stdout.write(text));
      return;
    }
    case 'run': {
      const { run } = await import('./commands/run.js');
      return run(line);
    }
  }
}

async function main(): Promise<void> {
  try {
    await obey(parseCommandLine(process.argv.slice(2), process.env));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`bpfleet-agent: ${error.message}\n`);
      process.exitCode = 2;
      return;
    }
    process.stderr.write(`${JSON.stringify({ level: 'error', event: 'agent.failed', ...errorFacts(error) })}\n`);
    process.exitCode = 1;
  }
}

void main();
