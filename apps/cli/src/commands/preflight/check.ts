import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { StrictResult } from '../../exit-code.js';
import { findRelease } from '../../lookup.js';
import { preflightLines } from '../../output/preflight.js';
import { collect, readParams } from '../../parameters.js';
import { askUntilKnown } from './ask-until-known.js';

interface PreflightOptions {
  selector: string;
  param: string[];
  strict?: boolean;
}

/** Returns the command, which has others below it. */
export function addPreflight(program: Command, host: CommandHost): Command {
  return program
    .command('preflight')
    .description('who would take a release, who would refuse, and why; nothing is sent')
    .argument('<release>', 'PROBE (its latest), PROBE@VERSION, or an id')
    .requiredOption('--selector <selector>', 'which devices; "all" is every active one')
    .option('--param <name=value>', 'a parameter of the probe; may be repeated', collect, [])
    .option('--strict', 'exit with 2 when some would refuse, or break')
    .action(async (wanted: string, options: PreflightOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const release = await findRelease(client, wanted);
      const params = readParams(release, options.param);
      const body = { selector: options.selector, releaseId: release.id, params };
      const preflight = await askUntilKnown(() => client.call('preflight', { body }));
      invocation.printer.result(preflight, () => preflightLines(preflight));
      if (options.strict && preflight.refuses > 0)
        throw new StrictResult(`${preflight.refuses} of ${preflight.devices} devices would refuse it`);
    });
}
