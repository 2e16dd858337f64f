import type { Run } from '@bpfleet/api';
import { Group, Select, Text } from '@mantine/core';
import { EmptyState, Waiting } from '../../ui/feedback.js';
import { EventTable } from '../../ui/event-table.js';
import type { TelemetrySearch } from '../search.js';
import { useRunReleases } from './run-releases.js';
import { TimeRange } from './time-range.js';
import { timeOf } from './metrics-panel.js';

interface EventsPanelProps {
  device: string;
  runs: readonly Run[] | undefined;
  search: TelemetrySearch;
  onSearch: (change: Partial<TelemetrySearch>) => void;
}

export function EventsPanel({ device, runs, search, onSearch }: EventsPanelProps) {
  const { releases, isPending } = useRunReleases(runs);
  const kinds = releases.flatMap((release) => release.events.map((event) => `${release.probe}/${event.name}`)).sort();
  const chosen = kinds.find((kind) => kind === search.event) ?? kinds[0];
  if (isPending && kinds.length === 0) return <Waiting label="Looking for events" />;
  if (!chosen) {
    return (
      <EmptyState title="No probe with events has run here">
        Events come from probes such as trace_exec or trace_tcp: assign one, or start a debug run on this device.
      </EmptyState>
    );
  }
  const [probe = '', event = ''] = chosen.split('/');
  return (
    <>
      <Group justify="space-between" mb="sm">
        <Group gap="xs">
          <Select
            aria-label="Kind of event"
            data={kinds}
            value={chosen}
            allowDeselect={false}
            searchable={kinds.length > 8}
            w={280}
            onChange={(value) => onSearch({ event: value ?? undefined })}
            data-testid="event-kind"
          />
          <Text size="xs" c="dimmed">
            newest first
          </Text>
        </Group>
        <TimeRange time={timeOf(search)} onChange={onSearch} />
      </Group>
      <EventTable query={{ device, probe, event }} time={timeOf(search)} maxHeight="calc(100dvh - 380px)" />
    </>
  );
}
