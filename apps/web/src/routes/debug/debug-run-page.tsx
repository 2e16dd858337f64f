import type { CallResult } from '@bpfleet/api';
import { Alert, Button, Group, Select, Stack, Table, Text } from '@mantine/core';
import { IconPlayerStop } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { api } from '../../api/client.js';
import { metricsQuery, releaseQuery, runQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EventTable } from '../../ui/event-table.js';
import { EmptyState, ErrorPanel, Waiting } from '../../ui/feedback.js';
import { formatBytes, formatClock, formatCount, formatCountdown, formatTime, printable } from '../../ui/format.js';
import { Fact, FactGrid, Fold, PageTitle, Panel, RunStateBadge } from '../../ui/pieces.js';
import { isOver } from '../../ui/run-tone.js';
import type { TimeSearch } from '../../ui/time-window.js';
import { paramsText } from '../assignments/params.js';
import { MetricGrid } from '../devices/metrics-panel.js';
import { cpuText, DropsText, HoldText } from './runs-table.js';

type RunDetail = CallResult<'getRun'>;

export function DebugRunPage() {
  const { run: id } = useParams({ from: '/shell/debug/$run' });
  const run = useQuery(runQuery(id));
  if (run.isPending) return <Waiting label="Reading the run" />;
  if (run.error && !run.data) return <ErrorPanel error={run.error} retry={() => void run.refetch()} />;
  return <DebugRunView run={run.data} />;
}

function DebugRunView({ run }: { run: RunDetail }) {
  const client = useQueryClient();
  const now = useNow(1_000);
  const over = isOver(run);
  const stop = useMutation({
    mutationFn: () => api.call('stopDebugRun', { path: { id: run.id } }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['run', run.id] }),
  });
  return (
    <Stack gap="sm">
      <PageTitle
        title={
          <Group gap="sm">
            {run.probe} {run.version}
            <RunStateBadge state={run.state} />
          </Group>
        }
        note={
          <>
            {run.kind === 'debug' ? 'Debug run' : 'Run'} on{' '}
            <Link to="/devices/$device" params={{ device: run.device }} className="bf-link">
              {printable(run.deviceName)}
            </Link>
          </>
        }
      >
        <Ending run={run} now={now} over={over} />
        {run.kind === 'debug' && !over && (
          <Button
            color="red"
            variant="light"
            leftSection={<IconPlayerStop size={14} />}
            loading={stop.isPending}
            onClick={() => stop.mutate()}
            data-testid="debug-stop"
          >
            Stop
          </Button>
        )}
      </PageTitle>
      {stop.error && <ErrorPanel error={stop.error} />}
      {run.error && (
        <Alert color="red" data-testid="run-error" title={printable(run.error.message)}>
          <Text className="bf-mono" c="dimmed">
            {printable(run.error.code)}
          </Text>
          {run.error.log && <Fold label="Verifier log" text={run.error.log} />}
        </Alert>
      )}
      <section className="bf-panel">
        <FactGrid min={120}>
          <Fact name="Run count">{run.stats?.measured ? formatCount(run.stats.runCount) : '–'}</Fact>
          <Fact name="CPU">{cpuText(run, now)}</Fact>
          <Fact name="Events seen">{run.stats ? formatCount(run.stats.eventsSeen) : '–'}</Fact>
          <Fact name="Drops">
            <DropsText run={run} />
          </Fact>
          <Fact name="Hold">
            <HoldText run={run} />
          </Fact>
          <Fact name="Map memory">{run.stats ? formatBytes(run.stats.mapBytes) : '–'}</Fact>
          <Fact name="Parameters">
            <span className="bf-mono">{printable(paramsText(run.params))}</span>
          </Fact>
          <Fact name="Started">{formatTime(run.attachedAt ?? run.createdAt)}</Fact>
        </FactGrid>
      </section>
      <RunOutput run={run} over={over} />
      <History run={run} />
    </Stack>
  );
}

function Ending({ run, now, over }: { run: RunDetail; now: number; over: boolean }) {
  if (over) {
    return (
      <Text size="sm" c="dimmed" data-testid="run-ended">
        {run.endedAt ? `ended ${formatTime(run.endedAt)}` : 'ended'}
      </Text>
    );
  }
  if (!run.endsAt) return null;
  const left = (Date.parse(run.endsAt) - now) / 1000;
  return (
    <Text size="sm" data-testid="countdown" role="timer">
      {left > 0 ? (
        <>
          ends by itself in <b>{formatCountdown(left)}</b>
        </>
      ) : (
        'its time is over; waiting for the device to say that it has detached'
      )}
    </Text>
  );
}

function RunOutput({ run, over }: { run: RunDetail; over: boolean }) {
  const { event: wanted } = useSearch({ from: '/shell/debug/$run' });
  const navigate = useNavigate({ from: '/debug/$run' });
  const release = useQuery(releaseQuery(run.releaseId));
  const metrics = useQuery(metricsQuery(run.device));
  if (release.error) return <ErrorPanel error={release.error} retry={() => void release.refetch()} />;
  if (!release.data) return <Waiting label="Reading the release" />;
  const { events, profiles } = release.data;
  const event = events.find((one) => one.name === wanted) ?? events[0];
  const charts = metrics.data?.filter((one) => one.probe === run.probe) ?? [];
  return (
    <>
      {events.length > 1 && (
        <Select
          aria-label="Kind of event"
          data={events.map((one) => one.name)}
          value={event?.name ?? null}
          allowDeselect={false}
          w={240}
          onChange={(value) => void navigate({ search: { event: value ?? undefined }, replace: true })}
        />
      )}
      {event && (
        <EventTable
          query={{ device: run.device, probe: run.probe, event: event.name, run: run.id }}
          since={run.createdAt}
          live={!over}
          maxHeight="52dvh"
          emptyText={over ? 'The run has ended without any.' : waitingText(run)}
        />
      )}
      {charts.length > 0 && <MetricGrid device={run.device} metrics={charts} time={windowOfRun(run)} top={10} />}
      {!event && charts.length === 0 && profiles.length === 0 && (
        <EmptyState title="Nothing measured yet">{waitingText(run)}</EmptyState>
      )}
      {profiles.length > 0 && (
        <Group>
          <Button
            variant="default"
            renderRoot={(props) => (
              <Link
                to="/devices/$device"
                params={{ device: run.device }}
                search={{ tab: 'profiles', profile: `${run.probe}/${profiles[0]?.name ?? ''}` }}
                {...props}
              />
            )}
          >
            Open the flame graph
          </Button>
        </Group>
      )}
    </>
  );
}

function waitingText(run: RunDetail): string {
  if (run.state === 'DEFERRED') return 'The device is offline; the run starts when it comes back.';
  return run.attachedAt
    ? 'The probe is attached. What happens on the device appears here by itself.'
    : 'The device is fetching, checking and loading the probe.';
}

function windowOfRun(run: RunDetail): TimeSearch {
  if (!run.endedAt) return { range: '15m' };
  const from = Math.floor(Date.parse(run.attachedAt ?? run.createdAt) / 1000);
  return { from, to: Math.max(from + 60, Math.ceil(Date.parse(run.endedAt) / 1000)) };
}

function History({ run }: { run: RunDetail }) {
  return (
    <Panel title="History">
      <Table verticalSpacing={3} data-testid="run-history">
        <Table.Tbody>
          {run.history.map((step, index) => (
            <Table.Tr key={index}>
              <Table.Td w={110} className="bf-mono bf-dim">
                {formatClock(step.at)}
              </Table.Td>
              <Table.Td w={120}>
                <RunStateBadge state={step.to} />
              </Table.Td>
              <Table.Td>{printable(step.reason)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Panel>
  );
}
