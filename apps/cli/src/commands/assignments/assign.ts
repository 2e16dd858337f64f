import type { Preflight, Release } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect, type Invocation } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { findRelease } from '../../lookup.js';
import { preflightLines } from '../../output/preflight.js';
import { safeText } from '../../output/terminal-text.js';
import { collect, readParams } from '../../parameters.js';
import { askUntilKnown } from '../preflight/ask-until-known.js';

interface AssignOptions {
  selector: string;
  param: string[];
  yes?: boolean;
}

export function addAssign(program: Command, host: CommandHost): void {
  program
    .command('assign')
    .description('have every device that a selector holds run a release')
    .argument('<release>', 'PROBE (its latest), PROBE@VERSION, or an id')
    .requiredOption('--selector <selector>', 'which devices; "all" is every active one')
    .option('--param <name=value>', 'a parameter of the probe; may be repeated', collect, [])
    .option('--yes', 'do not ask')
    .action(async (wanted: string, options: AssignOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const release = await findRelease(client, wanted);
      const params = readParams(release, options.param);
      const { selector } = options;
      const body = { selector, releaseId: release.id, params };
      if (!options.yes) {
        await confirm(invocation, release, await askUntilKnown(() => client.call('preflight', { body })));
      }
      const assignment = await client.call('createAssignment', { body });
      invocation.printer.result(assignment, () => [
        `${safeText(release.probe)}@${safeText(release.version)} is assigned to ${assignment.devices} devices: ${safeText(assignment.id)}`,
      ]);
    });
}

async function confirm({ context, printer }: Invocation, release: Release, preflight: Preflight): Promise<void> {
  for (const line of preflightLines(preflight)) printer.note(line);
  const question = `Assign ${safeText(release.probe)}@${safeText(release.version)} to these devices? [y/N] `;
  const answer = await context.ask(question, { hidden: false });
  if (answer === undefined) throw new CliError('NOT_CONFIRMED', 'nobody is at a terminal to confirm this: say --yes');
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('NOT_CONFIRMED', 'not confirmed: nothing was assigned');
}
