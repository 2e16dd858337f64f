import type { MetricInfo } from '@bpfleet/api';
import { Badge, Group, Select, Skeleton, Text, TextInput, Tooltip } from '@mantine/core';
import { useInViewport } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { heatmapQuery, metricsQuery, seriesQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EmptyState, ErrorPanel, Waiting } from '../../ui/feedback.js';
import { formatAgo, printable } from '../../ui/format.js';
import { HeatMap } from '../../ui/heat-map.js';
import { LineChart } from '../../ui/line-chart.js';
import { windowSeconds, type TimeSearch } from '../../ui/time-window.js';
import { topChoices, type TelemetrySearch } from '../search.js';
import { TimeRange } from './time-range.js';

interface MetricsPanelProps {
  device: string;
  search: TelemetrySearch;
  onSearch: (change: Partial<TelemetrySearch>) => void;
}

const defaultTop = 10;

export function MetricsPanel({ device, search, onSearch }: MetricsPanelProps) {
  const metrics = useQuery(metricsQuery(device));
  const time = timeOf(search);
  const top = search.top ?? defaultTop;
  if (metrics.isPending) return <Waiting label="Reading the metrics" />;
  if (metrics.error) return <ErrorPanel error={metrics.error} retry={() => void metrics.refetch()} />;
  const wanted = search.metric?.toLowerCase() ?? '';
  const shown = metrics.data.filter((one) => `${one.probe} ${one.metric}`.toLowerCase().includes(wanted));
  return (
    <>
      <Group justify="space-between" mb="sm">
        <TextInput
          aria-label="Search metrics"
          placeholder="Search metrics"
          leftSection={<IconSearch size={14} />}
          w={240}
          value={search.metric ?? ''}
          onChange={(event) => onSearch({ metric: event.currentTarget.value || undefined })}
          data-search
        />
        <Group gap="xs">
          <Select
            aria-label="Series per chart"
            w={90}
            data={topChoices.map((choice) => ({ value: String(choice), label: `top ${choice}` }))}
            value={String(top)}
            allowDeselect={false}
            onChange={(value) => onSearch({ top: Number(value) === defaultTop ? undefined : Number(value) })}
          />
          <TimeRange time={time} onChange={onSearch} />
        </Group>
      </Group>
      {metrics.data.length === 0 ? (
        <EmptyState title="No metrics from this device yet">
          Counters, gauges and histograms appear here a few seconds after a probe that has them is attached. Assign a
          release to a selector that holds this device.
        </EmptyState>
      ) : shown.length === 0 ? (
        <EmptyState title="No metric has this in its name" />
      ) : (
        <MetricGrid
          device={device}
          metrics={shown}
          time={time}
          top={top}
          onSelect={(from, to) => onSearch({ from, to })}
        />
      )}
    </>
  );
}

export function timeOf({ range, from, to }: TelemetrySearch): TimeSearch {
  return { ...(range && { range }), ...(from !== undefined && { from, to }) };
}

interface MetricGridProps {
  device: string;
  metrics: readonly MetricInfo[];
  time: TimeSearch;
  top: number;
  onSelect?: (from: number, to: number) => void;
}

export function MetricGrid({ metrics, ...rest }: MetricGridProps) {
  return (
    <div style={{ display: 'grid', gridTemplateColumns: 'repeat(auto-fill, minmax(min(480px, 100%), 1fr))', gap: 12 }}>
      {metrics.map((metric) => (
        <MetricCard key={`${metric.probe}/${metric.metric}`} metric={metric} {...rest} />
      ))}
    </div>
  );
}

function MetricCard({ metric, ...rest }: Omit<MetricGridProps, 'metrics'> & { metric: MetricInfo }) {
  const { ref, inViewport } = useInViewport();
  const now = useNow(10_000);
  return (
    <section className="bf-panel" ref={ref} data-testid="metric" data-metric={metric.metric} style={{ minHeight: 250 }}>
      <div className="bf-panel-head" style={{ borderBottom: 0, paddingBottom: 0 }}>
        <Tooltip label={metric.help ? printable(metric.help) : 'The probe gives no help for this metric.'}>
          <Text fw={600} size="sm" className="bf-cell">
            {printable(metric.metric)}
          </Text>
        </Tooltip>
        <Badge color="gray">{metric.type === 'counter' ? 'counter, per second' : metric.type}</Badge>
        <Text size="xs" c="dimmed" ml="auto">
          {metric.series} series{metric.lastAt ? `, ${formatAgo(metric.lastAt, now)}` : ''}
        </Text>
      </div>
      {inViewport ? (
        <MetricChart metric={metric} {...rest} />
      ) : (
        <Skeleton height={180} m={12} w="auto" animate={false} />
      )}
    </section>
  );
}

type ChartProps = Omit<MetricGridProps, 'metrics'> & { metric: MetricInfo };

function MetricChart(props: ChartProps) {
  return props.metric.type === 'histogram' ? <HistogramChart {...props} /> : <SeriesChart {...props} />;
}

function SeriesChart({ device, metric, time, top, onSelect }: ChartProps) {
  const series = useQuery(seriesQuery(device, metric.metric, time, top));
  if (series.error && !series.data) return <ChartError error={series.error} retry={() => void series.refetch()} />;
  if (!series.data) return <Skeleton height={180} m={12} w="auto" />;
  if (series.data.series.length === 0) return <NoData />;
  const { from, to } = windowSeconds(time, series.dataUpdatedAt);
  return (
    <>
      <LineChart response={series.data} from={from} to={to} onSelect={onSelect} />
      {series.data.truncated && (
        <Text size="xs" c="dimmed" px={12} pb={8}>
          The {series.data.series.length} largest of {metric.series} series are shown.
        </Text>
      )}
    </>
  );
}

function HistogramChart({ device, metric, time, onSelect }: ChartProps) {
  const heat = useQuery(heatmapQuery(device, metric.metric, time));
  if (heat.error && !heat.data) return <ChartError error={heat.error} retry={() => void heat.refetch()} />;
  if (!heat.data) return <Skeleton height={210} m={12} w="auto" />;
  if (heat.data.times.length === 0) return <NoData />;
  const { from, to } = windowSeconds(time, heat.dataUpdatedAt);
  return <HeatMap heat={heat.data} from={from} to={to} onSelect={onSelect} />;
}

function ChartError({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <div style={{ padding: 12 }}>
      <ErrorPanel error={error} retry={retry} />
    </div>
  );
}

function NoData() {
  return (
    <EmptyState title="Nothing in this window">Choose a longer range, or look whether the run is attached.</EmptyState>
  );
}
