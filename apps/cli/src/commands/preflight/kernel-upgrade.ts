import { Option, type Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { StrictResult } from '../../exit-code.js';
import { kernelUpgradeLines } from '../../output/preflight.js';
import { askUntilKnown } from './ask-until-known.js';

interface UpgradeOptions {
  selector: string;
  to: string;
  arch?: 'x86_64' | 'arm64' | 'arm';
  strict?: boolean;
}

const SERIES = /^\d{1,5}\.\d{1,5}$/;

export function addKernelUpgrade(preflight: Command, host: CommandHost): void {
  preflight
    .command('kernel-upgrade')
    .description('which of what runs on devices would break if they moved to another kernel')
    .requiredOption(
      '--to <kernel>',
      'a release series such as 6.12, or the id of a kernel (bpfleet kernels list --json)',
    )
    .addOption(new Option('--arch <arch>', 'only devices of this architecture').choices(['x86_64', 'arm64', 'arm']))
    .action(async (_options: object, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      // Those of `preflight` itself are options of this command too.
      const { selector, to, arch, strict } = command.optsWithGlobals<UpgradeOptions>();
      const target = SERIES.test(to) ? { series: to } : { kernelGroupId: to };
      const body = { selector, ...target, ...(arch === undefined ? {} : { arch }) };
      const upgrade = await askUntilKnown(() => client.call('kernelUpgrade', { body }));
      invocation.printer.result(upgrade, () => kernelUpgradeLines(upgrade));
      if (strict && upgrade.refuses > 0) throw new StrictResult(`${upgrade.refuses} runs would break`);
    });
}
