import type { Run } from '@bpfleet/api';
import { Group, Select, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { profileQuery } from '../../api/queries.js';
import { EmptyState, ErrorPanel, Waiting } from '../../ui/feedback.js';
import { FlameGraph } from '../../ui/flame-graph.js';
import { frameTotals, type FrameTotal } from '../../ui/flame-layout.js';
import { formatCount, formatPercent, printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import type { TelemetrySearch } from '../search.js';
import { timeOf } from './metrics-panel.js';
import { useRunReleases } from './run-releases.js';
import { TimeRange } from './time-range.js';

interface ProfilePanelProps {
  device: string;
  runs: readonly Run[] | undefined;
  search: TelemetrySearch;
  onSearch: (change: Partial<TelemetrySearch>) => void;
}

export function ProfilePanel({ device, runs, search, onSearch }: ProfilePanelProps) {
  const { releases, isPending } = useRunReleases(runs);
  const kinds = releases.flatMap((release) => release.profiles.map((one) => `${release.probe}/${one.name}`)).sort();
  const chosen = kinds.find((kind) => kind === search.profile) ?? kinds[0];
  if (isPending && kinds.length === 0) return <Waiting label="Looking for profiles" />;
  if (!chosen) {
    return (
      <EmptyState title="No probe that takes profiles has run here">
        The built-in probe profile_cpu samples the stacks of what the CPUs are busy with. Assign it, or start a debug
        run.
      </EmptyState>
    );
  }
  const [probe = '', profile = ''] = chosen.split('/');
  return (
    <>
      <Group justify="space-between" mb="sm">
        <Select
          aria-label="Profile"
          data={kinds}
          value={chosen}
          allowDeselect={false}
          w={280}
          onChange={(value) => onSearch({ profile: value ?? undefined, frame: undefined })}
        />
        <TimeRange time={timeOf(search)} onChange={onSearch} />
      </Group>
      <Profile device={device} probe={probe} profile={profile} search={search} onSearch={onSearch} />
    </>
  );
}

interface ProfileProps extends Omit<ProfilePanelProps, 'runs'> {
  probe: string;
  profile: string;
}

function Profile({ device, probe, profile, search, onSearch }: ProfileProps) {
  const query = useQuery(profileQuery(device, probe, profile, timeOf(search)));
  const totals = useMemo(() => (query.data ? frameTotals(query.data.root) : []), [query.data]);
  if (query.error && !query.data) return <ErrorPanel error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <Skeleton height={300} />;
  const { root, samples } = query.data;
  if (samples === 0 || root.children.length === 0) {
    return (
      <EmptyState title="No samples in this window">
        Choose a longer range, or look whether the run is attached.
      </EmptyState>
    );
  }
  return (
    <>
      <section className="bf-panel">
        <FlameGraph
          root={root}
          focus={search.frame ?? ''}
          onFocus={(frame) => onSearch({ frame: frame || undefined })}
          search={search.find ?? ''}
          onSearch={(find) => onSearch({ find: find || undefined })}
        />
      </section>
      <div style={{ height: 12 }} />
      <Panel title="Hottest functions">
        <VirtualTable
          label="Hottest functions"
          rows={totals}
          columns={totalColumns(root.value)}
          rowKey={(row) => row.name}
          maxHeight="320px"
          rowHeight={28}
          onOpen={(row) => onSearch({ find: row.name })}
        />
      </Panel>
    </>
  );
}

function totalColumns(samples: number): Column<FrameTotal>[] {
  const share = (count: number) => formatPercent(samples > 0 ? (count / samples) * 100 : 0);
  return [
    {
      key: 'name',
      title: 'Function',
      width: 'minmax(200px, 1fr)',
      render: (row) => <span className="bf-mono">{printable(row.name)}</span>,
    },
    { key: 'self', title: 'Self', width: '90px', right: true, render: (row) => share(row.self) },
    { key: 'total', title: 'With callees', width: '100px', right: true, render: (row) => share(row.total) },
    { key: 'samples', title: 'Samples', width: '90px', right: true, render: (row) => formatCount(row.self) },
  ];
}
