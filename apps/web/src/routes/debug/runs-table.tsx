import type { Run } from '@bpfleet/api';
import { Alert, Badge, Group, Stack, Text, Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useNow } from '../../ui/clock.js';
import { EmptyState } from '../../ui/feedback.js';
import { cpuPercent, formatAgo, formatBytes, formatCount, formatPercent, printable } from '../../ui/format.js';
import { Fold, OnlineDot, RunStateBadge } from '../../ui/pieces.js';
import { runTone } from '../../ui/run-tone.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { paramsText } from '../assignments/params.js';

interface RunsTableProps {
  runs: readonly Run[] | undefined;
  loading: boolean;
  showDevice: boolean;
  maxHeight?: string;
  onOpen?: (run: Run) => void;
}

/** Runs that are on come first, then those in trouble, then the past; within each the newest first. */
export function RunsTable({ runs, loading, showDevice, maxHeight, onOpen }: RunsTableProps) {
  const now = useNow(5_000);
  const sorted = useMemo(() => [...(runs ?? [])].sort(byWeight), [runs]);
  const columns = useMemo(() => runColumns(now, showDevice), [now, showDevice]);
  return (
    <VirtualTable
      label="Runs"
      testId="runs"
      rows={sorted}
      columns={columns}
      rowKey={(run) => run.id}
      loading={loading}
      maxHeight={maxHeight}
      onOpen={onOpen}
      detail={(run) => <RunTrouble run={run} />}
      empty={
        <EmptyState title="Nothing has run here">
          Assign a release to a selector that holds this device, or start a debug run.
        </EmptyState>
      }
    />
  );
}

const weights = { ok: 0, busy: 0, held: 0, bad: 1, over: 2 };

function byWeight(a: Run, b: Run): number {
  const weight = (run: Run) => (run.endedAt ? 2 : weights[runTone(run.state)]);
  return weight(a) - weight(b) || (a.createdAt < b.createdAt ? 1 : -1);
}

/** Why a run is not on, below its row. */
function RunTrouble({ run }: { run: Run }) {
  if (!run.error) return null;
  return (
    <Stack gap={6} px={12} py={8}>
      <Alert color={run.endedAt ? 'gray' : 'red'} py={8} data-testid="run-error">
        <Text size="sm">
          {printable(run.error.message)}{' '}
          <Text span className="bf-mono" c="dimmed">
            {printable(run.error.code)}
          </Text>
        </Text>
        {run.error.log && <Fold label="Verifier log" text={run.error.log} testId="verifier-log" />}
      </Alert>
    </Stack>
  );
}

function attachedSeconds(run: Run, now: number): number {
  if (!run.attachedAt) return 0;
  return ((run.endedAt ? Date.parse(run.endedAt) : now) - Date.parse(run.attachedAt)) / 1000;
}

export function cpuText(run: Run, now: number): string {
  if (!run.stats) return '–';
  if (!run.stats.measured) return 'unmeasured';
  const percent = cpuPercent(run.stats.runTimeNs, attachedSeconds(run, now));
  return percent === null ? '–' : formatPercent(percent);
}

export function DropsText({ run }: { run: Run }) {
  if (!run.stats) return <>–</>;
  const { kernel, rate, spool } = run.stats.drops;
  const total = (kernel ?? 0) + rate + spool;
  const label = `Ring in the kernel: ${kernel ?? 'not counted by this probe'}; rate limit: ${rate}; spool: ${spool}`;
  return (
    <Tooltip label={label}>
      <Text span inherit c={total > 0 ? 'orange' : undefined}>
        {kernel === null && total === 0 ? 'unknown' : formatCount(total)}
      </Text>
    </Tooltip>
  );
}

const holds: Record<string, string> = {
  pinned: 'Pinned in the kernel: it stays attached when the agent restarts.',
  process: 'Held by the agent’s process: this kernel cannot pin it, so it is detached while the agent restarts.',
  mixed: 'Some of its programs are pinned; the others are detached while the agent restarts.',
};

export function HoldText({ run }: { run: Run }) {
  if (!run.hold) return <>–</>;
  return (
    <Tooltip label={holds[run.hold] ?? printable(run.hold)}>
      <span>{printable(run.hold)}</span>
    </Tooltip>
  );
}

/** In the list of debug runs a name leads to the run; on a device's page to the release, and the badge to the run. */
function RunLink({ run, toRun }: { run: Run; toRun: boolean }) {
  const name = `${run.probe} ${run.version}`;
  return toRun ? (
    <Link to="/debug/$run" params={{ run: run.id }} className="bf-link bf-cell" tabIndex={-1}>
      {name}
    </Link>
  ) : (
    <Link to="/releases/$release" params={{ release: run.releaseId }} className="bf-link bf-cell" tabIndex={-1}>
      {name}
    </Link>
  );
}

function runColumns(now: number, showDevice: boolean): Column<Run>[] {
  const device: Column<Run> = {
    key: 'device',
    title: 'Device',
    width: 'minmax(140px, 1fr)',
    render: (run) => (
      <Link to="/devices/$device" params={{ device: run.device }} className="bf-link" tabIndex={-1}>
        {printable(run.deviceName)}
      </Link>
    ),
  };
  const maps: Column<Run> = {
    key: 'maps',
    title: 'Maps',
    width: '80px',
    right: true,
    render: (run) => (run.stats ? formatBytes(run.stats.mapBytes) : '–'),
  };
  return [
    {
      key: 'probe',
      title: 'Probe',
      width: 'minmax(170px, 1.4fr)',
      render: (run) => (
        <Group gap={8} wrap="nowrap">
          <OnlineDot online={runTone(run.state) === 'ok' && !run.endedAt} />
          <RunLink run={run} toRun={showDevice} />
          {run.kind === 'debug' && !showDevice && (
            <Link to="/debug/$run" params={{ run: run.id }} tabIndex={-1}>
              <Badge color="grape" style={{ cursor: 'pointer' }}>
                debug
              </Badge>
            </Link>
          )}
        </Group>
      ),
    },
    ...(showDevice ? [device] : []),
    { key: 'state', title: 'State', width: '100px', render: (run) => <RunStateBadge state={run.state} /> },
    {
      key: 'cpu',
      title: <Tooltip label="Share of one CPU since it was attached">{<span>CPU</span>}</Tooltip>,
      width: '80px',
      right: true,
      render: (run) => cpuText(run, now),
    },
    {
      key: 'count',
      title: 'Run count',
      width: '80px',
      right: true,
      render: (run) => (run.stats?.measured ? formatCount(run.stats.runCount) : '–'),
    },
    {
      key: 'events',
      title: 'Events',
      width: '70px',
      right: true,
      render: (run) => (run.stats ? formatCount(run.stats.eventsSeen) : '–'),
    },
    { key: 'drops', title: 'Drops', width: '80px', right: true, render: (run) => <DropsText run={run} /> },
    ...(showDevice ? [] : [maps]),
    { key: 'hold', title: 'Hold', width: '62px', render: (run) => <HoldText run={run} /> },
    {
      key: 'params',
      title: 'Parameters',
      width: 'minmax(80px, 1fr)',
      render: (run) => (
        <span className="bf-mono bf-dim" title={paramsText(run.params)}>
          {printable(paramsText(run.params))}
        </span>
      ),
    },
    {
      key: 'since',
      title: 'Since',
      width: '100px',
      render: (run) => <span className="bf-dim">{formatAgo(run.attachedAt ?? run.createdAt, now)}</span>,
    },
  ];
}
