import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { CliError, exitCodes } from '../../exit-code.js';
import { findDevice, findRelease } from '../../lookup.js';
import { countText } from '../../output/numbers.js';
import { safeText } from '../../output/terminal-text.js';
import { collect, readParams } from '../../parameters.js';
import { wholeNumber } from '../../whole-number.js';
import { cpuText } from '../runs/list.js';
import { isOver, tailRun, type RunDetail } from './tail-run.js';

interface DebugOptions {
  minutes: number;
  event?: string;
  param: string[];
}

export function addDebug(program: Command, host: CommandHost): void {
  program
    .command('debug')
    .description('run a probe on one device for some minutes and watch its events; Ctrl-C stops it')
    .argument('<device>', 'its id or name')
    .argument('<release>', 'PROBE (its latest), PROBE@VERSION, or an id')
    .option('--minutes <n>', 'after which it ends by itself', wholeNumber(1, 60), 10)
    .option('--event <name>', 'only this kind of event')
    .option('--param <name=value>', 'a parameter of the probe; may be repeated', collect, [])
    .addHelpText(
      'after',
      '\nWith --json each line is one value: {"type":"run",…} first and last, {"type":"event",…} between.',
    )
    .action(async (deviceName: string, releaseName: string, options: DebugOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const { context, printer } = invocation;
      const client = await connect(invocation);
      const [device, release] = [await findDevice(client, deviceName), await findRelease(client, releaseName)];
      const params = readParams(release, options.param);
      const all = release.events.map((event) => event.name);
      const events = options.event === undefined ? all : all.filter((name) => name === options.event);
      if (options.event !== undefined && events.length === 0) {
        const known = all.map(safeText).join(', ') || 'none';
        throw new CliError(
          'EVENT_UNKNOWN',
          `${release.probe} has no event ${safeText(options.event)}; it has ${known}`,
        );
      }
      const body = { device: device.id, releaseId: release.id, minutes: options.minutes, params };
      const created = await client.call('createDebugRun', { body });
      const run: RunDetail = { ...created, history: [] };
      if (printer.json) printer.result({ type: 'run', run }, () => []);
      const name = `${safeText(release.probe)}@${safeText(release.version)}`;
      printer.note(`${name} on ${safeText(device.name)} until ${run.endsAt ?? 'it is stopped'}; Ctrl-C stops it.`);
      if (!device.online) printer.note('The device is offline: the run starts when it comes back.');
      if (events.length === 0) printer.note(`It has no events; see bpfleet metrics ${device.id}.`);
      const ended = await tailRun(invocation, { client, run, release, events });
      if (printer.json) printer.result({ type: 'run', run: ended }, () => []);
      const { stats } = ended;
      const cost = stats
        ? `; ran ${countText(stats.runCount)} times, CPU ${cpuText(ended, context.now())}, ${countText(stats.eventsSeen)} events`
        : '';
      printer.note(`${name}: ${ended.state.toLowerCase().replace('_', ' ')}${cost}`);
      if (!isOver(ended)) printer.note('The device has not confirmed the end yet; its lease ends the run in any case.');
      failIfBad(ended);
    });
}

function failIfBad(run: RunDetail): void {
  if (!['REJECTED', 'FAILED', 'TIMED_OUT', 'SUSPECT_CRASH'].includes(run.state)) return;
  const exitCode = run.state === 'REJECTED' ? exitCodes.refused : exitCodes.failure;
  const why = run.error?.message ?? run.history.at(-1)?.reason ?? 'the device did not say why';
  throw new CliError(run.error?.code ?? `RUN_${run.state}`, safeText(why), exitCode, { run: run.id });
}
