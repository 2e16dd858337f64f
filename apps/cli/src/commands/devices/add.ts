import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { safeText } from '../../output/terminal-text.js';
import { collect, readLabels } from '../../parameters.js';
import { wholeNumber } from '../../whole-number.js';

interface AddOptions {
  name: string;
  uses: number;
  expires: number;
  label: string[];
}

export function addDevicesAdd(devices: Command, host: CommandHost): void {
  devices
    .command('add')
    .description('make an enrolment token, and show the command to run on the device')
    .requiredOption('--name <name>', 'of the token, to recognise it later')
    .option('--uses <n>', 'how many devices may enrol with it', wholeNumber(1, 100_000), 1)
    .option('--expires <minutes>', 'how long it is valid', wholeNumber(1, 525_600), 60)
    .option('--label <name=value>', 'given to every device that enrols with it; may be repeated', collect, [])
    .action(async (options: AddOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const { name, uses, expires: expiresInMinutes } = options;
      const labels = readLabels(options.label);
      const token = await client.call('createEnrolmentToken', { body: { name, uses, expiresInMinutes, labels } });
      invocation.printer.result(token, () => [
        `Run this on the device, as root. It is shown once, and works for ${uses === 1 ? 'one device' : `${uses} devices`} until ${token.expiresAt}:`,
        '',
        `  ${safeText(token.command)}`,
        ...(token.note === undefined ? [] : ['', safeText(token.note)]),
      ]);
    });
}
