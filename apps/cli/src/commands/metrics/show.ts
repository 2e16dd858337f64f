import type { ApiClient, Device, MetricInfo } from '@bpfleet/api';
import { Option, type Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect, type Invocation } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { findDevice } from '../../lookup.js';
import { agoText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';
import { safeText } from '../../output/terminal-text.js';
import { wholeNumber } from '../../whole-number.js';
import { heatmapLines } from './heatmap-lines.js';
import { seriesLines } from './series-lines.js';

const rangeSeconds = { '5m': 300, '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400 } as const;
type Range = keyof typeof rangeSeconds;

interface MetricsOptions {
  range: Range;
  top: number;
}

export function addMetrics(program: Command, host: CommandHost): void {
  program
    .command('metrics')
    .description('the values of one metric of a device; without a metric, which there are')
    .argument('<device>', 'its id or name')
    .argument('[metric]', 'name of the metric')
    .addOption(new Option('--range <range>', 'how far back').choices(Object.keys(rangeSeconds)).default('15m'))
    .option('--top <n>', 'how many series, the largest', wholeNumber(1, 50), 10)
    .action(async (deviceName: string, metric: string | undefined, options: MetricsOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const client = await connect(invocation);
      const device = await findDevice(client, deviceName);
      const { items } = await client.call('listMetrics', { query: { device: device.id } });
      if (metric === undefined) return showList(invocation, items);
      const info = items.find((one) => one.metric === metric);
      if (!info) {
        const known = items.map((one) => safeText(one.metric)).join(', ') || 'none';
        throw new CliError('METRIC_UNKNOWN', `${device.id} has no metric ${safeText(metric)}; it has ${known}`);
      }
      await showMetric(invocation, client, device, info, options);
    });
}

function showList({ context, printer }: Invocation, items: readonly MetricInfo[]): void {
  printer.result({ items }, () =>
    items.length === 0
      ? ['No metrics.']
      : tableLines(items, [
          { title: 'METRIC', cell: (one) => one.metric },
          { title: 'TYPE', cell: (one) => one.type },
          { title: 'SERIES', right: true, cell: (one) => String(one.series) },
          { title: 'LAST', cell: (one) => (one.lastAt ? agoText(one.lastAt, context.now()) : 'never') },
          { title: 'PROBE', cell: (one) => one.probe },
          { title: 'HELP', cell: (one) => one.help ?? '' },
        ]),
  );
}

async function showMetric(
  { context, printer }: Invocation,
  client: ApiClient,
  device: Device,
  info: MetricInfo,
  options: MetricsOptions,
): Promise<void> {
  const now = context.now();
  const window = {
    device: device.id,
    metric: info.metric,
    from: new Date(now - rangeSeconds[options.range] * 1000).toISOString(),
    to: new Date(now).toISOString(),
  };
  if (info.type === 'histogram') {
    const heat = await client.call('heatmap', { query: window });
    printer.result(heat, () => heatmapLines(heat));
    return;
  }
  const series = await client.call('series', { query: { ...window, limit: options.top } });
  printer.result(series, () => seriesLines(series));
}
