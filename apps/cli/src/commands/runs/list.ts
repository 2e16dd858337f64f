import type { Run } from '@bpfleet/api';
import { Option, type Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { findDevice } from '../../lookup.js';
import { agoText, bytesText, countText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';
import { safeText } from '../../output/terminal-text.js';
import { wholeNumber } from '../../whole-number.js';

interface RunsOptions {
  device?: string;
  kind?: 'assignment' | 'debug';
  live?: boolean;
  limit: number;
}

export function addRunsList(runs: Command, host: CommandHost): void {
  runs
    .command('list')
    .description('what runs where, with its state and cost')
    .option('--device <device>', 'only on this device: its id or name')
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(['assignment', 'debug']))
    .option('--live', 'only what is not over')
    .option('--limit <n>', 'at most so many, the newest', wholeNumber(1, 500), 100)
    .action(async (options: RunsOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const device = options.device === undefined ? undefined : (await findDevice(client, options.device)).id;
      const { kind, limit } = options;
      const query = { device, kind, limit, live: options.live ? ('true' as const) : undefined };
      const { items } = await client.call('listRuns', { query });
      invocation.printer.result({ items }, () => runLines(items, invocation.context.now()));
    });
}

function runLines(items: readonly Run[], nowMs: number): string[] {
  if (items.length === 0) return ['No runs.'];
  const lines = tableLines(items, [
    { title: 'ID', cell: (run) => run.id },
    { title: 'DEVICE', cell: (run) => run.deviceName },
    { title: 'RELEASE', cell: (run) => `${run.probe}@${run.version}` },
    { title: 'KIND', cell: (run) => run.kind },
    { title: 'STATE', cell: (run) => run.state },
    { title: 'CPU', right: true, cell: (run) => cpuText(run, nowMs) },
    { title: 'RUNS', right: true, cell: (run) => (run.stats?.measured ? countText(run.stats.runCount) : '-') },
    { title: 'EVENTS', right: true, cell: (run) => (run.stats ? countText(run.stats.eventsSeen) : '-') },
    { title: 'DROPS', right: true, cell: dropsText },
    { title: 'HOLD', cell: (run) => run.hold ?? '-' },
    { title: 'MAPS', right: true, cell: (run) => (run.stats ? bytesText(run.stats.mapBytes) : '-') },
    { title: 'SINCE', cell: (run) => agoText(run.attachedAt ?? run.createdAt, nowMs) },
  ]);
  const trouble = items.flatMap((run) => [
    ...(run.error ? [`${safeText(run.id)}: ${safeText(run.error.message)} [${safeText(run.error.code)}]`] : []),
  ]);
  return [...lines, ...trouble];
}

/** Share of one CPU since the run was attached. */
export function cpuText(run: Run, nowMs: number): string {
  if (!run.stats || !run.attachedAt) return '-';
  if (!run.stats.measured) return 'unmeasured';
  const seconds = ((run.endedAt ? Date.parse(run.endedAt) : nowMs) - Date.parse(run.attachedAt)) / 1000;
  return seconds > 0 ? `${Number(((run.stats.runTimeNs / 1e9 / seconds) * 100).toPrecision(2))} %` : '-';
}

function dropsText(run: Run): string {
  if (!run.stats) return '-';
  const { kernel, rate, spool } = run.stats.drops;
  return kernel === null && rate + spool === 0 ? 'unknown' : countText((kernel ?? 0) + rate + spool);
}
